//! Records: conflicts, revisions, aliases, expiry, lists.

use super::{Harness, NOW, World, after};
use crate::model::{Address, Answered, AppId, Application, EventType, Grant, KeyId, Kind, OrgId, Record, Time, Token};
use crate::store::{Change, Conflict, ListPage, StoreError};

fn application(id: u128, uid: Option<&str>) -> Application {
    Application {
        id: AppId(id),
        org: OrgId(1),
        uid: uid.map(Into::into),
        name: "Shop".into(),
        throttle_rate: None,
        metadata: [("a".into(), "b".into())].into(),
        profile: None,
        retry_policy: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn app(id: u128, uid: Option<&str>) -> Record {
    Record::Application(application(id, uid))
}

fn event_type(name: &str) -> Record {
    Record::EventType(EventType {
        org: OrgId(1),
        name: name.into(),
        description: String::new(),
        archived: false,
        deprecated: false,
        reserved: false,
        schemas: Some(serde_json::Map::from_iter([("1".into(), serde_json::json!({"type": "object"}))])),
        group_name: None,
        feature_flags: None,
        created_at: NOW,
        updated_at: NOW,
    })
}

fn token(id: u128, hash: &str, expires_at: Option<Time>) -> Record {
    let grant = Grant::Portal { app: AppId(9), read_only: true, feature_flags: vec!["beta".into()], session: None };
    Record::Token(Token { id: KeyId(id), org: OrgId(id), name: "t".into(), hash: hash.into(), grant, created_at: NOW, expires_at })
}

pub(super) fn answer(key: &str, expires_at: Time) -> Record {
    Record::Answered(Answered { org: OrgId(1), key: key.into(), request: "ab".into(), status: 202, body: "{}".into(), expires_at })
}

fn conflict(kind: Kind) -> Result<(), StoreError> {
    Err(StoreError::Conflict(Conflict::Record(kind)))
}

/// An address or an alias that is taken is refused, in a later commit and in the same.
pub(crate) async fn insert_conflicts(harness: &impl Harness) {
    let world = World::new(harness).await;
    world.insert(app(1, Some("shop"))).await.unwrap();
    assert_eq!(world.insert(app(1, None)).await, conflict(Kind::Application));
    assert_eq!(world.insert(app(2, Some("shop"))).await, conflict(Kind::Application));
    world.insert(app(2, Some("other"))).await.unwrap();
    world.insert(token(1, "hash", None)).await.unwrap();
    assert_eq!(world.insert(token(2, "hash", None)).await, conflict(Kind::Token), "a token's hash is unique everywhere");

    let twins: Vec<_> = (0..8).map(|n| world.insert(app(10 + n, Some("twin")))).collect();
    let mut outcomes = Vec::new();
    let results = tokio::join!(
        async {
            let mut r = vec![];
            for t in twins {
                r.push(t.await);
            }
            r
        },
        world.insert(app(30, Some("twin"))),
        world.insert(app(31, Some("twin"))),
    );
    outcomes.extend(results.0);
    outcomes.extend([results.1, results.2]);
    assert_eq!(outcomes.iter().filter(|r| r.is_ok()).count(), 1);
}

/// A replacement counts only under the revision that was read.
pub(crate) async fn replace_needs_the_revision(harness: &impl Harness) {
    let world = World::new(harness).await;
    let address = Address::application(OrgId(1), AppId(1));
    world.insert(app(1, Some("shop"))).await.unwrap();
    let read = world.store.find(&address, NOW).await.unwrap().unwrap();
    assert_eq!(read.record, app(1, Some("shop")));
    let replace = |revision| world.store.change(vec![Change::Replace(app(1, Some("new")), revision)], NOW);
    let (first, second) = tokio::join!(replace(read.revision), replace(read.revision));
    assert_eq!([&first, &second].iter().filter(|r| r.is_ok()).count(), 1);
    assert!([first, second].contains(&Err(StoreError::Stale)));
    let now = world.store.find(&address, NOW).await.unwrap().unwrap();
    assert!(now.revision > read.revision);
    assert_eq!(world.store.change(vec![Change::Replace(app(7, None), 1)], NOW).await, Err(StoreError::Stale), "never was there");
}

/// Deleted and made again is not what it was.
pub(crate) async fn revisions_are_never_used_twice(harness: &impl Harness) {
    let world = World::new(harness).await;
    let address = Address::event_type(OrgId(1), "a.b");
    world.insert(event_type("a.b")).await.unwrap();
    let old = world.store.find(&address, NOW).await.unwrap().unwrap();
    world.store.change(vec![Change::Delete(address.clone())], NOW).await.unwrap();
    let store = harness.restart(world.store).await;
    store.change(vec![Change::Insert(event_type("a.b"))], NOW).await.unwrap();
    let replaced = store.change(vec![Change::Replace(event_type("a.b"), old.revision)], NOW).await;
    assert_eq!(replaced, Err(StoreError::Stale));
    assert!(store.find(&address, NOW).await.unwrap().unwrap().revision > old.revision);
}

/// What has expired is neither found nor in the way.
pub(crate) async fn expired_records_are_absent(harness: &impl Harness) {
    let world = World::new(harness).await;
    let end = after(NOW, 10);
    world.insert(token(1, "hash", Some(end))).await.unwrap();
    let address = Address::token(OrgId(1), KeyId(1));
    let alias = Address::new(Kind::Token, "", "hash");
    assert!(world.store.find(&alias, NOW).await.unwrap().is_some());
    assert!(world.store.find(&address, after(NOW, 9)).await.unwrap().is_some());
    for gone in [&address, &alias] {
        assert_eq!(world.store.find(gone, end).await.unwrap(), None);
    }
    let page = ListPage { after: None, backwards: false, limit: 9 };
    assert!(world.store.list(Kind::Token, &OrgId(1).to_string(), page, end).await.unwrap().is_empty());
    assert_eq!(world.insert(token(2, "hash", None)).await, conflict(Kind::Token));
    world.store.change(vec![Change::Insert(token(2, "hash", None))], end).await.unwrap();
    assert_eq!(world.store.find(&alias, end).await.unwrap().unwrap().record, token(2, "hash", None));
}

/// An alias belongs to its record while the record has it.
pub(crate) async fn aliases_follow_their_record(harness: &impl Harness) {
    let world = World::new(harness).await;
    let org = OrgId(1).to_string();
    let by = |uid: &str| Address::new(Kind::Application, &org, uid);
    world.insert(app(1, Some("old"))).await.unwrap();
    world.insert(app(2, Some("taken"))).await.unwrap();
    let revision = world.store.find(&by("old"), NOW).await.unwrap().unwrap().revision;
    let rename = |uid| world.store.change(vec![Change::Replace(app(1, Some(uid)), revision)], NOW);
    assert_eq!(rename("taken").await, conflict(Kind::Application));
    rename("new").await.unwrap();
    assert_eq!(world.store.find(&by("old"), NOW).await.unwrap(), None);
    assert_eq!(world.store.find(&by("new"), NOW).await.unwrap().unwrap().record, app(1, Some("new")));
    world.insert(app(3, Some("old"))).await.unwrap();
    world.store.change(vec![Change::Delete(Address::application(OrgId(1), AppId(1)))], NOW).await.unwrap();
    assert_eq!(world.store.find(&by("new"), NOW).await.unwrap(), None);
    assert!(world.store.find(&by("old"), NOW).await.unwrap().is_some());
}

/// One change that is refused takes all others with it.
pub(crate) async fn changes_are_all_or_nothing(harness: &impl Harness) {
    let world = World::new(harness).await;
    world.insert(event_type("b")).await.unwrap();
    let changes = vec![
        Change::Write(event_type("a")),
        Change::Delete(Address::event_type(OrgId(1), "b")),
        Change::Insert(app(1, Some("x"))),
        Change::Insert(app(2, Some("x"))),
    ];
    // Others in the same commit are not touched by it.
    let (refused, beside) = tokio::join!(world.store.change(changes, NOW), world.insert(event_type("c")));
    assert_eq!((refused, beside), (conflict(Kind::Application), Ok(())));
    let page = ListPage { after: None, backwards: false, limit: 9 };
    let names = world.store.list(Kind::EventType, &OrgId(1).to_string(), page, NOW).await.unwrap();
    assert_eq!(names.into_iter().map(|s| s.record).collect::<Vec<_>>(), [event_type("b"), event_type("c")]);
    assert_eq!(world.store.find(&Address::application(OrgId(1), AppId(1)), NOW).await.unwrap(), None);
}

/// Pages forwards and backwards, within one scope and kind.
pub(crate) async fn lists_page_both_ways(harness: &impl Harness) {
    let world = World::new(harness).await;
    for name in ["a", "b", "c", "d", "e"] {
        world.insert(event_type(name)).await.unwrap();
    }
    world.insert(app(1, None)).await.unwrap();
    let org = OrgId(1).to_string();
    let page = async |after, backwards| {
        let page = ListPage { after, backwards, limit: 2 };
        let found = world.store.list(Kind::EventType, &org, page, NOW).await.unwrap();
        found.into_iter().map(|stored| stored.record.address().key).collect::<Vec<_>>()
    };
    assert_eq!(page(None, false).await, ["a", "b"]);
    assert_eq!(page(Some("b"), false).await, ["c", "d"]);
    assert_eq!(page(Some("d"), false).await, ["e"]);
    assert_eq!(page(None, true).await, ["e", "d"]);
    assert_eq!(page(Some("d"), true).await, ["c", "b"]);
    assert_eq!(page(Some("a"), true).await, [""; 0]);
    assert_eq!(page(Some("bb"), false).await, ["c", "d"], "a key that is not there is a bound too");
}

/// More than any engine reads at once.
pub(crate) async fn each_visits_every_live_record(harness: &impl Harness) {
    let world = World::new(harness).await;
    let records = (1..=2500).map(|id| Change::Insert(app(id, None))).collect();
    world.store.change(records, NOW).await.unwrap();
    world.insert(event_type("a")).await.unwrap();
    world.insert(token(1, "gone", Some(NOW))).await.unwrap();
    let mut seen = Vec::new();
    world.store.each(Kind::Application, NOW, &mut |stored| seen.push(stored.record)).await.unwrap();
    seen.sort_by_key(|record| record.address());
    assert_eq!(seen.len(), 2500);
    assert_eq!(seen.first(), Some(&app(1, None)));
    let mut tokens = 0;
    world.store.each(Kind::Token, NOW, &mut |_| tokens += 1).await.unwrap();
    assert_eq!(tokens, 0);
}
