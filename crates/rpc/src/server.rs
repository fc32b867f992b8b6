//! What servers ask of every call: who makes it.

use tonic::{Request, Status};

use crate::auth::{Caller, Secret, TOKEN_KEY};
use crate::status::CallError;

/// Who makes this call.
///
/// # Errors
/// `not-authenticated` when its token is missing or not one of this cluster.
pub fn caller<T>(secret: &Secret, request: &Request<T>) -> Result<Caller, Status> {
    let token = request.metadata().get(TOKEN_KEY).and_then(|token| token.to_str().ok());
    secret.check(token).ok_or_else(|| CallError::not_authenticated().into())
}

/// Lets only those through who know the cluster's secret: people, Nimbuses, supervisors.
///
/// # Errors
/// `not-authenticated` for all others, workers too.
pub fn daemon<T>(secret: &Secret, request: &Request<T>) -> Result<(), Status> {
    match caller(secret, request)? {
        Caller::Daemon => Ok(()),
        Caller::Worker { topology, .. } => {
            let error = CallError::not_authenticated();
            Err(CallError { message: format!("a worker of '{topology}' may not make this call"), ..error }
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use storm_model::{Incarnation, TopologyId};

    use super::*;

    fn call(token: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(token) = token {
            request.metadata_mut().insert(TOKEN_KEY, token.parse().unwrap());
        }
        request
    }

    #[test]
    fn only_those_who_know_the_secret_are_let_in() {
        let secret = Secret::new("s");
        assert_eq!(caller(&secret, &call(Some(&secret.daemon_token()))).unwrap(), Caller::Daemon);
        let refused = caller(&secret, &call(None)).unwrap_err();
        assert_eq!(CallError::from(refused), CallError::not_authenticated());
        assert!(daemon(&Secret::none(), &call(None)).is_ok());
        let token = secret.worker_token(&TopologyId::from("a-1-2"), Incarnation::default());
        assert!(daemon(&secret, &call(Some(&token))).is_err());
    }
}
