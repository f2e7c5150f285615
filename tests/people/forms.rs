//! Forms and filters that are refused: shown again as they were filled in, with the refusal beside its field.

use crate::{
    support::{Answer, Server},
    visit::Visit,
};
use serde_json::json;

/// The page says which field is at fault, where the refusal stands, and what had been entered.
#[track_caller]
pub(crate) fn at_fault(answer: &Answer, field: &str, kept: &[&str]) {
    let text = answer.text();
    assert_eq!(answer.status, 422, "{text}");
    let named = format!("name=\"{field}\"");
    let tag = text.split('<').filter(|tag| tag.contains(&named)).find(|tag| tag.contains("aria-invalid=\"true\""));
    let tag = tag.unwrap_or_else(|| panic!("{field} is not marked: {text}"));
    let (_, id) = tag.split_once("aria-describedby=\"").unwrap();
    let beside = format!("id=\"{}\" role=\"alert\">", id.split('"').next().unwrap());
    assert_eq!(text.matches(&beside).count(), 1, "{beside}: {text}");
    for value in kept {
        assert!(text.contains(value), "{value} is lost: {text}");
    }
}

/// What a test needs: somebody who may do everything, an application and its endpoint.
pub(crate) async fn admin() -> (Server, Visit, String, String) {
    let server = Server::start().await;
    let mut visit = Visit::of(&server);
    assert_eq!(visit.enter(&server.link().await).await.status, 303);
    let api = server.api();
    let app = api.post("/api/v1/app", r#"{"name": "Acme"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let endpoint = json!({"url": "http://127.0.0.1:9/hooks"}).to_string();
    let endpoint = api.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint).await.expect(201);
    (server, visit, app, endpoint["id"].as_str().unwrap().to_owned())
}

/// A page with a form, where it is sent, what is entered, the field at fault, and what has to be there still.
type Form = (String, String, &'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

fn home(rest: &str) -> String {
    format!("/dashboard/{rest}")
}

/// Forms of what the organization has.
fn of_organization() -> Vec<Form> {
    let form = |page: &str, path: &str, entered, wrong, kept| -> Form { (home(page), home(path), entered, wrong, kept) };
    vec![
        form(
            "users",
            "users",
            &[("login", "two words"), ("name", "Kept Name"), ("role", "operator")],
            "login",
            &["\"two words\"", "\"Kept Name\"", "<option selected>operator"],
        ),
        form(
            "settings",
            "settings/retention",
            &[("messages", "forever"), ("payloads", "24")],
            "messages",
            &["\"forever\"", "\"24\""],
        ),
        form(
            "settings",
            "settings/retention",
            &[("messages", "48"), ("payloads", "99999999")],
            "payloads",
            &["\"48\"", "\"99999999\""],
        ),
        form("keys", "keys", &[("name", "kept"), ("days", "soon")], "days", &["\"kept\"", "\"soon\""]),
        form("applications", "applications", &[("name", "kept"), ("uid", "a b")], "uid", &["\"kept\"", "\"a b\""]),
        form(
            "event-types",
            "event-types",
            &[("name", "kept.name"), ("description", "d"), ("schema", "[kept")],
            "schema",
            &["\"kept.name\"", ">[kept<"],
        ),
        form(
            "event-types/order.placed",
            "event-types/order.placed",
            &[("description", "kept d"), ("group", "g"), ("schema", "[kept")],
            "schema",
            &["\"kept d\"", ">[kept<"],
        ),
        form("account", "account/password", &[("password", "short")], "password", &[]),
    ]
}

/// Further forms of the organization's.
fn of_settings() -> Vec<Form> {
    let form = |page: &str, path: &str, entered, wrong, kept| -> Form { (home(page), home(path), entered, wrong, kept) };
    vec![
        form(
            "alerts/new",
            "alerts",
            &[("name", "kept"), ("type", "held"), ("count", "7"), ("emails", "nobody")],
            "emails",
            &["\"kept\"", "\"7\"", ">nobody<"],
        ),
        form(
            "settings/portal",
            "settings/portal",
            &[("name", "kept"), ("color", "red"), ("framing", "server")],
            "color",
            &["\"kept\"", "\"red\""],
        ),
        form(
            "settings/profiles/standard",
            "settings/profiles/standard",
            &[("act", "copy"), ("name", "Not A Name")],
            "name",
            &["\"Not A Name\""],
        ),
        form(
            "settings/integrations/webhooks/new",
            "settings/integrations/webhooks/new",
            &[("name", "kept"), ("url", "nonsense"), ("events", "event.purchase_complete")],
            "url",
            &["\"kept\"", "\"nonsense\""],
        ),
    ]
}

/// Forms of an application, an endpoint and a source.
fn of_things(app: &str, endpoint: &str, source: &str) -> Vec<Form> {
    let app = home(&format!("applications/{app}"));
    let endpoint = format!("{app}/endpoints/{endpoint}");
    let source = home(&format!("sources/{source}"));
    let form = |base: &str, (page, path): (&str, &str), entered, wrong, kept| -> Form {
        (format!("{base}{page}"), format!("{base}{path}"), entered, wrong, kept)
    };
    vec![
        form(&app, ("", ""), &[("name", "kept"), ("throttle", "fast")], "throttle", &["\"kept\"", "\"fast\""]),
        form(
            &app,
            ("", "/send"),
            &[("type", "order.placed"), ("payload", "[kept"), ("tags", "t1")],
            "payload",
            &["\"order.placed\"", ">[kept<", "\"t1\""],
        ),
        form(&app, ("", "/portal"), &[("expiry", "soon"), ("read_only", "1")], "expiry", &["value=\"1\" checked"]),
        form(
            &app,
            ("/endpoints/new", "/endpoints/new"),
            &[("url", "http://127.0.0.1:9/x"), ("description", "kept"), ("retry", "[5,")],
            "retry",
            &["\"kept\"", "\"[5,\""],
        ),
        form(&endpoint, ("/edit", "/edit"), &[("url", "ftp://kept.example")], "url", &["\"ftp://kept.example\""]),
        form(&endpoint, ("", "/catch-up"), &[("rate", "fast")], "rate", &["\"fast\""]),
        form(&endpoint, ("", "/recover"), &[("since", "yesterday")], "since", &[]),
        form(&source, ("", "/judge"), &[("request", "X-Kept: 1"), ("now", "never")], "now", &["X-Kept: 1"]),
    ]
}

#[tokio::test]
async fn what_was_entered_stays_and_the_refusal_stands_beside_its_field() {
    let (server, mut visit, app, endpoint) = admin().await;
    server.api().post("/api/v1/event-type", r#"{"name": "order.placed", "description": "d"}"#).await.expect(201);
    let source = server.api().post("/api/v1/source", r#"{"provider": "github", "secret": "s3cr3t"}"#).await.expect(201);
    let things = of_things(&app, &endpoint, source["id"].as_str().unwrap());
    for (page, path, fields, wrong, kept) in of_organization().into_iter().chain(of_settings()).chain(things) {
        at_fault(&visit.submit(&page, &path, fields).await, wrong, kept);
    }
}

#[tokio::test]
async fn a_filter_that_is_refused_leaves_the_list_and_its_form() {
    let (server, mut visit, app, endpoint) = admin().await;
    let source = server.api().post("/api/v1/source", r#"{"provider": "github", "secret": "s3cr3t"}"#).await.expect(201);
    let source = source["id"].as_str().unwrap();
    let filters = [
        ("messages?code=abc&tag=kept".to_owned(), "code", "value=\"kept\""),
        ("messages?app=nobody&tag=kept".into(), "app", "value=\"kept\""),
        ("messages?since=yesterday&tag=kept".into(), "since", "value=\"kept\""),
        ("messages?field=..&value=kept".into(), "field", "value=\"kept\""),
        ("audit?until=never&user=kept".into(), "until", "value=\"kept\""),
        ("audit?what=nonsense&user=kept".into(), "what", "value=\"kept\""),
        (format!("applications/{app}/endpoints/{endpoint}?class=abc&type=kept.type"), "class", "value=\"kept.type\""),
        (format!("sources/{source}?reason=nonsense"), "reason", "Rejected requests"),
        (format!("replays/new?app={app}&rate=fast&tag=kept"), "rate", "value=\"kept\""),
        (format!("replays/new?app={app}&since=yesterday&tag=kept"), "since", "value=\"kept\""),
        (format!("cancel?app={app}&field=..&tag=kept"), "field", "value=\"kept\""),
    ];
    for (page, wrong, kept) in filters {
        at_fault(&visit.get(&format!("/dashboard/{page}")).await, wrong, &[kept, "<main"]);
    }
    let entry = server.api().post(&format!("/api/v1/auth/app-portal-access/{app}"), "{}").await.expect(200);
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let portal = async |rest: &str| {
        let headers = [("cookie", cookie.as_str())];
        server.api().anonymous().send("GET", &format!("/portal/{app}/{rest}"), &headers, "").await
    };
    at_fault(&portal("deliveries?since=yesterday&type=kept.type").await, "since", &["value=\"kept.type\""]);
    at_fault(&portal(&format!("endpoints/{endpoint}?class=abc&type=kept.type")).await, "class", &["value=\"kept.type\""]);
}
