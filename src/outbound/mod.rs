//! x
/// T
#[derive(Clone, Debug)]
pub struct Target;
/// E
#[derive(Clone, Debug, thiserror::Error)]
#[error("x")]
pub struct TargetError;
impl Target {
    /// P
    pub fn parse(_url: &str) -> Result<Target, TargetError> {
        Ok(Target)
    }
}

/// R
#[derive(Debug)]
pub struct OutboundRequest {
    /// m
    pub method: http::Method,
    /// h
    pub headers: http::HeaderMap,
    /// b
    pub body: bytes::Bytes,
}
/// O
#[derive(Debug)]
pub struct Outbound;
impl Outbound {
    /// s
    pub async fn send(&self, _t: &Target, _r: OutboundRequest, _d: std::time::Duration) -> crate::model::Outcome {
        crate::model::Outcome::failed(crate::model::Cause::Internal, "")
    }
}
