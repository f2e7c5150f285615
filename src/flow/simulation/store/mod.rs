//! A store that is a model: everything in memory, and honest, for the conformance suite judges it as it judges the engines.
//! Nodes share it; each may be slow, refuse, lose an answer, or die at a verb, before or after its effect.

mod erasing;
mod node;
mod order;
mod records;
mod shared;
mod state;

pub(super) use node::Node;
pub(super) use shared::{Judge, Shared};
pub(super) use state::{State, Trouble};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Store,
        conformance::{Harness, conformance},
    };
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Default)]
    struct Memory(Mutex<Arc<Shared>>);

    #[async_trait::async_trait]
    impl Harness for Memory {
        async fn fresh(&self) -> Arc<dyn Store> {
            *self.0.lock() = Arc::default();
            Node::join(&self.0.lock())
        }

        async fn restart(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
            drop(store);
            let shared = self.0.lock();
            shared.state.lock().free_all();
            Node::join(&shared)
        }
    }

    conformance!(Memory::default());
}
