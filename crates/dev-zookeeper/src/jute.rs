//! Jute, ZooKeeper's serialisation: big-endian numbers, and lengths before text, buffers and lists.
//!
//! ```text
//! int      4 bytes               long     8 bytes              boolean  1 byte, 0 or 1
//! buffer   int length, bytes     (-1: there is none)
//! ustring  int length, UTF-8
//! vector   int count, elements   (-1: read as empty)
//! ```
//!
//! Reading never panics and allocates no more than what the bytes at hand fill: a count that is too
//! large ends with [`JuteError::Short`] at the last byte.

/// What is wrong with bytes that should be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JuteError {
    /// The bytes end within a field.
    #[error("the packet ends within a field")]
    Short,
    /// A length or count below -1.
    #[error("a field has the length {0}")]
    Length(i32),
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A number for a kind of thing that does not exist.
    #[error("there is no kind {0} of what stands here")]
    Kind(i32),
}

/// Bytes from which fields are read, front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], JuteError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(JuteError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], JuteError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(JuteError::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A length or a count; `None` stands for -1.
    fn length(&mut self) -> Result<Option<usize>, JuteError> {
        match i32::read(self)? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| JuteError::Length(length)),
        }
    }
}

/// What can be written as jute and read back.
pub(crate) trait Jute: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(input: &mut Input) -> Result<Self, JuteError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

impl Jute for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(input: &mut Input) -> Result<i32, JuteError> {
        input.array().map(i32::from_be_bytes)
    }
}

impl Jute for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(input: &mut Input) -> Result<i64, JuteError> {
        input.array().map(i64::from_be_bytes)
    }
}

impl Jute for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(input: &mut Input) -> Result<bool, JuteError> {
        input.array().map(|[byte]| byte != 0)
    }
}

impl Jute for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(input: &mut Input) -> Result<String, JuteError> {
        let length = input.length()?.ok_or(JuteError::Length(-1))?;
        let text = std::str::from_utf8(input.bytes(length)?).map_err(|_| JuteError::Text)?;
        Ok(text.to_owned())
    }
}

/// A buffer.
impl Jute for Option<Vec<u8>> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => (-1).write(out),
            Some(bytes) => {
                write_length(bytes.len(), out);
                out.extend_from_slice(bytes);
            }
        }
    }

    fn read(input: &mut Input) -> Result<Option<Vec<u8>>, JuteError> {
        let Some(length) = input.length()? else { return Ok(None) };
        Ok(Some(input.bytes(length)?.to_vec()))
    }
}

impl<T: Jute> Jute for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        self.iter().for_each(|element| element.write(out));
    }

    fn read(input: &mut Input) -> Result<Vec<T>, JuteError> {
        // The vector grows with what is read: the count is only the peer's word.
        let count = input.length()?.unwrap_or(0);
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(T::read(input)?);
        }
        Ok(elements)
    }
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    i32::try_from(length).expect("no field holds 2 GiB").write(out);
}

/// Declares a record: a struct whose fields stand in the packet in this order.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl $crate::jute::Jute for $name {
            #[allow(unused_variables, reason = "some records have no fields")]
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::jute::Jute::write(&self.$field, out);)*
            }

            #[allow(unused_variables, reason = "some records have no fields")]
            fn read(input: &mut $crate::jute::Input) -> Result<$name, $crate::jute::JuteError> {
                Ok($name { $($field: <$type as $crate::jute::Jute>::read(input)?,)* })
            }
        }

        #[cfg(test)]
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<$name>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                use proptest::prelude::*;
                (Just(()), $(any::<$type>(),)*).prop_map(|((), $($field,)*)| $name { $($field,)* }).boxed()
            }
        }
    };
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_count_ends_with_the_bytes() {
        let mut bytes = i32::MAX.to_bytes();
        bytes.extend_from_slice(&[0; 12]);
        assert_eq!(Vec::<i32>::read(&mut Input::new(&bytes)), Err(JuteError::Short));
        assert_eq!(String::read(&mut Input::new(&bytes)), Err(JuteError::Short));
        assert_eq!(Option::<Vec<u8>>::read(&mut Input::new(&bytes)), Err(JuteError::Short));
    }

    #[test]
    fn minus_one_is_no_buffer_and_no_elements() {
        let bytes = (-1).to_bytes();
        assert_eq!(Option::<Vec<u8>>::read(&mut Input::new(&bytes)), Ok(None));
        assert_eq!(Vec::<i64>::read(&mut Input::new(&bytes)), Ok(vec![]));
        assert_eq!(String::read(&mut Input::new(&bytes)), Err(JuteError::Length(-1)));
    }

    #[test]
    fn lengths_below_minus_one_are_refused() {
        let bytes = (-2).to_bytes();
        assert_eq!(Option::<Vec<u8>>::read(&mut Input::new(&bytes)), Err(JuteError::Length(-2)));
    }
}
