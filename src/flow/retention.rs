//! Retentions in memory: what accepting and upkeep ask of them.

use crate::model::{AppId, OrgId, Retention};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// The retentions of organizations and applications.
#[derive(Debug, Default)]
pub struct Retentions {
    /// Whether there is any: most servers have none, and then accepting takes no lock.
    any: AtomicBool,
    kept: RwLock<HashMap<(OrgId, Option<AppId>), Retention>>,
}

impl Retentions {
    pub(super) fn put(&self, retention: Retention) {
        let mut kept = self.kept.write();
        kept.insert((retention.org, retention.app), retention);
        self.any.store(true, Relaxed);
    }

    pub(super) fn remove(&self, org: OrgId, app: Option<AppId>) {
        let mut kept = self.kept.write();
        kept.remove(&(org, app));
        self.any.store(!kept.is_empty(), Relaxed);
    }

    /// What the application says, else its organization.
    fn said<T>(&self, org: OrgId, app: AppId, say: impl Fn(&Retention) -> Option<T>) -> Option<T> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let kept = self.kept.read();
        [Some(app), None].into_iter().find_map(|app| kept.get(&(org, app)).and_then(&say))
    }

    /// How long an application's messages are kept; `None`: as the server says.
    #[must_use]
    pub fn messages(&self, org: OrgId, app: AppId) -> Option<Duration> {
        self.said(org, app, Retention::messages)
    }

    /// How long an application's payloads are kept; `None`: as long as their messages.
    #[must_use]
    pub fn payloads(&self, org: OrgId, app: AppId) -> Option<Duration> {
        self.said(org, app, Retention::payloads)
    }

    /// The longest that anybody keeps messages, when the server keeps them for `default`.
    #[must_use]
    pub fn longest(&self, default: Duration) -> Duration {
        self.kept.read().values().filter_map(Retention::messages).fold(default, Duration::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_says_first_then_its_organization() {
        let (org, app) = (OrgId(1), AppId(2));
        let kept = Retentions::default();
        let hour = Duration::from_secs(3600);
        assert_eq!((kept.messages(org, app), kept.longest(hour)), (None, hour));
        kept.put(Retention { org, app: None, message_hours: Some(48), payload_hours: Some(2) });
        kept.put(Retention { org, app: Some(app), message_hours: Some(5), payload_hours: None });
        assert_eq!(kept.messages(org, app), Some(5 * hour));
        assert_eq!(kept.payloads(org, app), Some(2 * hour));
        assert_eq!(kept.messages(org, AppId(3)), Some(48 * hour));
        assert_eq!(kept.messages(OrgId(9), app), None);
        assert_eq!((kept.longest(hour), kept.longest(99 * hour)), (48 * hour, 99 * hour));
        kept.remove(org, Some(app));
        assert_eq!(kept.messages(org, app), Some(48 * hour));
        kept.remove(org, None);
        assert_eq!(kept.messages(org, app), None);
    }
}
