//! From the tokens of a struct to those of its impls. Works on `proc_macro2`, so that it can be
//! tested without a compiler around it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, GenericParam, Generics, Lifetime, LifetimeParam,
    LitStr, Result, Type, parse_quote,
};

#[cfg(test)]
mod tests;

/// The impls for the struct in `input`.
pub(crate) fn derive(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    if let Some(attribute) = input.attrs.iter().find(|attribute| attribute.path().is_ident("row")) {
        return Err(Error::new_spanned(attribute, "#[row(..)] belongs on a field"));
    }
    let columns = columns(&input)?;
    let row = impl_row(&input, &columns);
    let from_tuple = impl_from_tuple(&input, &columns)?;
    let names = const_names(&input, &columns);
    Ok(quote! { #row #from_tuple #names })
}

/// A field of the struct and what it is in a tuple.
struct Column<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// Its name in a tuple.
    name: String,
    /// Whether it goes through `Opaque`.
    opaque: bool,
    /// Whether its type names a parameter of the struct, so that the impls need a bound on it.
    generic: bool,
}

fn columns(input: &DeriveInput) -> Result<Vec<Column<'_>>> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unnamed(fields) => {
                let message = "Row cannot be derived for a tuple struct: the fields of a tuple go by name; \
                               name these, or emit a plain tuple of values";
                return Err(Error::new_spanned(fields, message));
            }
            Fields::Unit => {
                let message =
                    "Row cannot be derived for a struct without a list of fields: write `{}` or emit `()`";
                return Err(Error::new_spanned(&input.ident, message));
            }
        },
        Data::Enum(data) => {
            let message = "Row cannot be derived for an enum: use a struct with named fields; an enum can be \
                           one of its fields with #[row(opaque)]";
            return Err(Error::new_spanned(data.enum_token, message));
        }
        Data::Union(data) => {
            let message = "Row cannot be derived for a union: use a struct with named fields";
            return Err(Error::new_spanned(data.union_token, message));
        }
    };

    let mut columns: Vec<Column<'_>> = Vec::new();
    for field in fields {
        let (column, name_span) = column(field, &input.generics)?;
        if columns.iter().any(|other| other.name == column.name) {
            let message = format!("a field named '{}' stands here twice", column.name);
            return Err(Error::new(name_span, message));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// The column of a field, and where its name stands.
fn column<'a>(field: &'a Field, generics: &Generics) -> Result<(Column<'a>, Span)> {
    let ident = field.ident.as_ref().expect("the fields are named");
    let (rename, opaque) = attributes(&field.attrs)?;
    let (name, name_span) = match rename {
        Some(rename) => (rename.value(), rename.span()),
        None => (ident.unraw().to_string(), ident.span()),
    };
    let generic = mentions(field.ty.to_token_stream(), generics);
    Ok((Column { ident, ty: &field.ty, name, opaque, generic }, name_span))
}

/// The new name and whether the field is opaque.
fn attributes(attributes: &[Attribute]) -> Result<(Option<LitStr>, bool)> {
    let mut rename = None;
    let mut opaque = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("opaque") {
                opaque = true;
            } else if meta.path.is_ident("rename") {
                let name: LitStr = meta.value()?.parse()?;
                if name.value().is_empty() {
                    return Err(Error::new(name.span(), "a field needs a name"));
                }
                rename = Some(name);
            } else {
                return Err(meta.error("unknown attribute: expected `rename = \"name\"` or `opaque`"));
            }
            Ok(())
        })?;
    }
    Ok((rename, opaque))
}

/// Whether a type names one of the struct's type or const parameters.
fn mentions(ty: TokenStream, generics: &Generics) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => generics.params.iter().any(|param| match param {
            GenericParam::Type(param) => param.ident == ident,
            GenericParam::Const(param) => param.ident == ident,
            GenericParam::Lifetime(_) => false,
        }),
        TokenTree::Group(group) => mentions(group.stream(), generics),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn impl_row(input: &DeriveInput, columns: &[Column<'_>]) -> TokenStream {
    let mut generics = input.generics.clone();
    for Column { ty, opaque, .. } in columns.iter().filter(|column| column.generic) {
        generics.make_where_clause().predicates.push(if *opaque {
            parse_quote!(for<'__field> ::storm_rs::Opaque<&'__field #ty>: ::storm_rs::ToField)
        } else {
            parse_quote!(#ty: ::storm_rs::ToField)
        });
    }
    let writes = columns.iter().map(|Column { ident, ty, opaque, .. }| {
        let field = if *opaque {
            quote_spanned!(ty.span()=> &::storm_rs::Opaque(&self.#ident))
        } else {
            quote_spanned!(ty.span()=> &self.#ident)
        };
        quote_spanned!(ty.span()=> ::storm_rs::ToField::write(#field, __out);)
    });
    let name = &input.ident;
    let arity = columns.len();
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::storm_rs::Row for #name #ty_generics #where_clause {
            #[inline]
            fn arity(&self) -> usize {
                #arity
            }

            #[inline]
            fn write(&self, __out: &mut ::storm_rs::RowBuilder) {
                #(#writes)*
            }
        }
    }
}

fn impl_from_tuple(input: &DeriveInput, columns: &[Column<'_>]) -> Result<TokenStream> {
    let mut generics = input.generics.clone();
    let lifetime = tuple_lifetime(&mut generics)?;
    for Column { ty, opaque, .. } in columns.iter().filter(|column| column.generic) {
        generics.make_where_clause().predicates.push(if *opaque {
            parse_quote!(::storm_rs::Opaque<#ty>: ::storm_rs::FromField<#lifetime>)
        } else {
            parse_quote!(#ty: ::storm_rs::FromField<#lifetime>)
        });
    }
    let reads = columns.iter().map(|Column { ident, ty, name, opaque, .. }| {
        if *opaque {
            quote_spanned!(ty.span()=> #ident: __tuple.get::<::storm_rs::Opaque<#ty>>(#name)?.0)
        } else {
            quote_spanned!(ty.span()=> #ident: __tuple.get::<#ty>(#name)?)
        }
    });
    let name = &input.ident;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::storm_rs::FromTuple<#lifetime> for #name #ty_generics #where_clause {
            #[inline]
            fn from_tuple(
                __tuple: &::storm_rs::Tuple<#lifetime>,
            ) -> ::core::result::Result<Self, ::storm_rs::TupleError> {
                ::core::result::Result::Ok(Self { #(#reads,)* })
            }
        }
    })
}

/// The lifetime of the tuple: the struct's own, or one that is added to the impl's.
fn tuple_lifetime(generics: &mut Generics) -> Result<Lifetime> {
    let mut own = generics.lifetimes();
    match (own.next(), own.next()) {
        (Some(lifetime), None) => Ok(lifetime.lifetime.clone()),
        (_, Some(second)) => {
            let message =
                "Row can be derived with at most one lifetime: that of the tuple a struct is read from";
            Err(Error::new_spanned(second, message))
        }
        (None, None) => {
            let lifetime = Lifetime::new("'__tuple", Span::call_site());
            generics.params.insert(0, GenericParam::Lifetime(LifetimeParam::new(lifetime.clone())));
            Ok(lifetime)
        }
    }
}

fn const_names(input: &DeriveInput, columns: &[Column<'_>]) -> TokenStream {
    // As visible as the struct, so that the lints on what is public hold for both.
    let DeriveInput { ident, vis, generics, .. } = input;
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let names = columns.iter().map(|column| &column.name);
    let count = columns.len();
    quote! {
        #[automatically_derived]
        impl #impl_generics #ident #ty_generics #where_clause {
            /// Names of the fields in a tuple, in order.
            #[allow(dead_code, reason = "not every struct is emitted or grouped by")]
            #vis const FIELDS: [&'static str; #count] = [#(#names),*];
        }
    }
}
