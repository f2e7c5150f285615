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
