//! The table of sources, against its promises.

use super::*;
use crate::{
    inbound::{SECRET_PURPOSE, TOKEN_PURPOSE},
    model::{Metadata, Sealed, Secret, SourceAnswer, SourceScheme},
    random::Random,
};
use postrider_signature::{Refusal, Request};

const SECRET: &str = "a secret of some length";

struct Bench {
    vault: Arc<Vault>,
    random: Random,
    sources: Sources,
}

impl Bench {
    fn new() -> Self {
        let random = Random::seeded(3);
        let vault = Arc::new(Vault::from_text(&Vault::new_key(&random)).unwrap());
        Bench { sources: Sources::new(vault.clone()), vault, random }
    }

    fn seal(&self, purpose: &str, (text, end): (&str, Option<u64>)) -> Secret {
        let sealed = self.vault.seal(&self.random, purpose, text.as_bytes()).unwrap();
        Secret { sealed, created_at: Time(0), expires_at: end.map(Time) }
    }

    fn source(&self, id: u128, secrets: &[(&str, Option<u64>)], tokens: &[(&str, Option<u64>)]) -> Source {
        Source {
            id: SourceId(id),
            org: OrgId(1),
            app: AppId(7),
            app_owned: false,
            uid: None,
            name: String::new(),
            description: None,
            label: None,
            scheme: SourceScheme::Provider("gitlab-token".into()),
            alternatives: Vec::new(),
            secrets: secrets.iter().map(|secret| self.seal(SECRET_PURPOSE, *secret)).collect(),
            settings: Default::default(),
            tokens: tokens.iter().map(|token| self.seal(TOKEN_PURPOSE, *token)).collect(),
            methods: vec!["POST".into()],
            max_body: 1024,
            allow_cidrs: Vec::new(),
            answer: SourceAnswer { status: 200, headers: Default::default(), body: String::new() },
            dedup_window_s: 0,
            event_type_prefix: "gitlab-token".into(),
            forward_headers: Vec::new(),
            split: false,
            listed: Vec::new(),
            closed: None,
            forward: None,
            system: None,
            paused: None,
            awaits_secret: false,
            metadata: Metadata::new(),
            created_at: Time(0),
            updated_at: Time(0),
        }
    }
}

#[test]
fn every_live_token_finds_its_source_and_no_other_does() {
    let bench = Bench::new();
    bench.sources.put(bench.source(1, &[(SECRET, None)], &[("old", Some(10)), ("new", None)]));
    bench.sources.put(bench.source(2, &[(SECRET, None)], &[("other", None)]));
    let found = |token: &str, now| bench.sources.by_token(token, Time(now)).map(|compiled| compiled.source.id.0);
    assert_eq!((found("old", 9), found("old", 10), found("new", 10), found("other", 0)), (Some(1), None, Some(1), Some(2)));
    assert_eq!((found("", 0), found("OLD", 0)), (None, None));
    bench.sources.put(bench.source(1, &[(SECRET, None)], &[("new", None)]));
    assert_eq!((found("old", 0), found("new", 0)), (None, Some(1)), "a token that is gone opens nothing");
    bench.sources.remove(SourceId(1));
    assert_eq!((found("new", 0), found("other", 0)), (None, Some(2)));
}

#[test]
fn a_secret_ends_with_its_grace() {
    let bench = Bench::new();
    bench.sources.put(bench.source(1, &[("the oldest", Some(5)), ("the old", Some(10)), ("the current", None)], &[("t", None)]));
    let source = bench.sources.by_id(SourceId(1)).unwrap();
    let judged = |secret: &str, now| {
        let headers = [("X-Gitlab-Token", secret.as_bytes()), ("X-Gitlab-Event", b"Push Hook".as_slice())];
        let request = Request { method: "POST", url: "https://example.com/in/t", headers: &headers, body: b"{}" };
        source.verify(&request, Time(now)).map(|_| ())
    };
    for (secret, end) in [("the oldest", 5), ("the old", 10)] {
        assert_eq!((judged(secret, end - 1), judged(secret, end)), (Ok(()), Err(Refusal::Mismatch)), "{secret}");
    }
    assert_eq!((judged("the current", 0), judged("the current", 1 << 40)), (Ok(()), Ok(())));
    assert_eq!(source.secrets(Time(7)), ["the current", "the old"]);
}

#[test]
fn what_is_remembered_outlives_a_change() {
    let bench = Bench::new();
    bench.sources.put(bench.source(1, &[(SECRET, None)], &[("t", None)]));
    State::count(&bench.sources.by_id(SourceId(1)).unwrap().state.received);
    bench.sources.put(bench.source(1, &[("another secret", None)], &[("t", None)]));
    let state = &bench.sources.by_id(SourceId(1)).unwrap().state;
    assert_eq!(state.received.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_damaged_source_answers_nobody_and_goes_with_its_application() {
    let bench = Bench::new();
    let mut source = bench.source(1, &[(SECRET, None)], &[("t", None)]);
    bench.sources.put(source.clone());
    source.secrets[0].sealed = Sealed("AAAA".into());
    bench.sources.put(source.clone());
    assert!(bench.sources.by_token("t", Time(0)).is_none() && bench.sources.by_id(SourceId(1)).is_none());
    assert_eq!(bench.sources.addresses(AppId(7)), [Address::source(OrgId(1), SourceId(1))]);
    assert_eq!((bench.sources.count(AppId(7)), bench.sources.count(AppId(8))), (1, 0));
    assert!(bench.sources.holds_own(AppId(7)) && !bench.sources.holds_own(AppId(8)));
    assert!(bench.sources.addresses(AppId(8)).is_empty());
}

#[test]
fn only_allowed_addresses_may_call() {
    let bench = Bench::new();
    let mut source = bench.source(1, &[(SECRET, None)], &[("t", None)]);
    bench.sources.put(source.clone());
    let allows = |ip: &str| bench.sources.by_id(SourceId(1)).unwrap().allows(ip.parse().unwrap());
    assert!(allows("203.0.113.9") && allows("2001:db8::1"));
    source.allow_cidrs = vec!["203.0.113.0/24".into()];
    bench.sources.put(source);
    assert!(allows("203.0.113.9") && allows("::ffff:203.0.113.9") && !allows("203.0.114.9") && !allows("2001:db8::1"));
}

#[test]
fn sources_of_an_application_share_memory_and_others_do_not() {
    let bench = Bench::new();
    let put = |id, app| {
        let token = format!("token {id}");
        bench.sources.put(Source { app: AppId(app), ..bench.source(id, &[(SECRET, None)], &[(&token, None)]) });
        bench.sources.by_id(SourceId(id)).unwrap().state.of_application.clone()
    };
    let (first, second, other) = (put(1, 7), put(2, 7), put(3, 8));
    assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
    assert!(Arc::ptr_eq(&first, &put(1, 7)), "a change leaves it as it is");
    drop((first, second, other));
    for id in 1..=3 {
        bench.sources.remove(SourceId(id));
    }
    for app in 0..20 {
        put(9, app);
        bench.sources.remove(SourceId(9));
    }
    assert!(bench.sources.maps.read().memories.len() <= 2, "nothing is remembered of applications without sources");
}
