//! Lists, as several systems wrap them: `{"data": […]}`.

use crate::api::Problem;
use serde::Serialize;
use utoipa::ToSchema;

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Data<T> {
    /// Its entries.
    pub(super) data: Vec<T>,
}

impl<T> Data<T> {
    /// What is found, each as it is shown.
    ///
    /// # Errors
    /// One cannot be shown.
    pub(super) fn of<F>(found: Vec<F>, show: impl FnMut(F) -> Result<T, Problem>) -> Result<Self, Problem> {
        Ok(Data { data: found.into_iter().map(show).collect::<Result<_, _>>()? })
    }

    /// As [`Data::of`], as an answer.
    ///
    /// # Errors
    /// As [`Data::of`].
    pub(super) fn shown<F>(found: Vec<F>, show: impl FnMut(F) -> Result<T, Problem>) -> Result<axum::Json<Self>, Problem> {
        Self::of(found, show).map(axum::Json)
    }
}
