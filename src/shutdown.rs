//! Shutdown, handed in and never ambient: one flag that tasks wait for.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Exit status after a second signal: nothing was waited for.
const IMPATIENT: i32 = 130;

/// Whoever holds it learns when to stop. Clones are the same flag.
#[derive(Clone, Debug)]
pub struct Shutdown {
    flag: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { flag: watch::Sender::new(false) }
    }
}

impl Shutdown {
    /// A flag that SIGTERM or SIGINT raises. The second of these signals ends the process at once.
    ///
    /// # Errors
    /// The system does not let signals be handled.
    pub fn by_signal() -> std::io::Result<Self> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Shutdown::default();
        let raised = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
                if raised.raise() {
                    tracing::info!("stopping; a second signal stops at once");
                } else {
                    std::process::exit(IMPATIENT);
                }
            }
        });
        Ok(shutdown)
    }

    /// Raises the flag; `false` when it was up already.
    pub fn raise(&self) -> bool {
        !self.flag.send_replace(true)
    }

    /// Waits until the flag is up.
    pub async fn raised(&self) {
        let mut flag = self.flag.subscribe();
        let _the_sender_is_here = flag.wait_for(|up| *up).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_learns_of_it_once() {
        let shutdown = Shutdown::default();
        let waits = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.raised().await }
        });
        assert!(shutdown.raise());
        assert!(!shutdown.raise());
        waits.await.unwrap();
        shutdown.raised().await;
    }
}
