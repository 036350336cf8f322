//! Calls to peers over HTTP.

use crate::config::Config;
use crate::model::peer::PeerAddr;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use futures_util::future::LocalBoxFuture;

pub struct HttpLink;

impl HttpLink {
    pub fn new(_: &Config, _: u64) -> HttpLink {
        HttpLink
    }
}

impl PeerLink for HttpLink {
    fn call(&self, _: &PeerAddr, _: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>> {
        Box::pin(async { Err(PeerError::Refused) })
    }
}
