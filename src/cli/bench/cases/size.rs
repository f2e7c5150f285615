//! Size of this binary.

use super::super::{
    Bench,
    figure::{Bounds, Figure, Measure},
};
use anyhow::ensure;

/// Bytes.
const BOUNDS: Bounds = Bounds { floor: 40e6, goal: 25e6 };

/// Its size on disk.
pub(super) fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    ensure!(bench.given.is_none(), "the binary of the target is not known");
    let bytes = std::fs::metadata(&bench.program)?.len();
    Ok(Figure {
        name,
        measure: Some(Measure::Bytes(bytes)),
        bounds: Some(BOUNDS),
        unjudged: cfg!(debug_assertions),
        ..Figure::default()
    })
}
