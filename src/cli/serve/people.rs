//! Who signs in first: a data folder without users gets an admin, and a link that signs in once.

use crate::{
    api::user::{link_path, new_link},
    clock::Clock,
    model::{Kind, Record, Role, User, UserId},
    random::Random,
    store::{Change, FIRST_ORG, ListPage, Store, StoreError},
};

/// The name under which the first user signs in.
const FIRST_LOGIN: &str = "admin";

/// The path of a link for the first user, who is made when there is nobody; also for a user who is there, when `again`.
pub(super) async fn first_link(
    store: &dyn Store,
    again: bool,
    (clock, random): (&dyn Clock, &Random),
) -> Result<Option<String>, StoreError> {
    let now = clock.now();
    let page = ListPage { after: None, backwards: false, limit: 1 };
    let found = store.list(Kind::User, &FIRST_ORG.to_string(), page, now).await?.into_iter().next();
    let (user, mut changes) = match found.map(|stored| stored.record) {
        Some(Record::User(user)) if again => (user, Vec::new()),
        Some(_) => return Ok(None),
        None => {
            let user = User {
                id: UserId(random.id(now)),
                org: FIRST_ORG,
                login: FIRST_LOGIN.to_owned(),
                name: String::new(),
                role: Role::Admin,
                password: None,
                created_at: now,
                updated_at: now,
            };
            (user.clone(), vec![Change::Insert(Record::User(user))])
        }
    };
    let (session, text) = new_link(random, now, &user);
    changes.push(Change::Insert(Record::Session(session)));
    match store.change(changes, now).await {
        // Another node was faster, and has printed its own.
        Err(StoreError::Conflict(_)) => Ok(None),
        made => made.map(|()| Some(link_path(&text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        store::embedded::{EmbeddedOptions, EmbeddedStore},
    };
    use std::sync::Arc;

    #[tokio::test]
    async fn the_first_link_is_made_once() {
        let temp = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&EmbeddedOptions::at(temp.path().join("s")), Arc::new(SystemClock)).unwrap();
        let random = Random::seeded(1);
        let link = async |again| first_link(&*store, again, (&SystemClock, &random)).await.unwrap();
        assert!(link(false).await.unwrap().starts_with("/dashboard/enter?link=prs_"));
        assert_eq!(link(false).await, None);
        assert!(link(true).await.is_some());
        store.close().await.unwrap();
    }
}
