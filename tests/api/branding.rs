//! How an organization's portal looks: what is taken, what is refused, and that each organization has its own.

use crate::{access::foreign, fixture::Tenant};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/branding";

/// The first bytes of a PNG of so many pixels a side, in base64.
fn png(side: u32) -> String {
    let side = side.to_be_bytes();
    STANDARD.encode([b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &side, &side].concat())
}

#[tokio::test]
async fn an_organization_has_a_look_of_its_own() {
    let t = Tenant::start().await;
    let none = json!({"name": null, "color": null, "darkColor": null, "origins": null, "logo": null});
    assert_eq!(t.api.get(PATH).await.expect(200), none);
    let body = json!({"name": "Northwind", "color": "#0B7a75", "origins": ["https://App.example.com/"]}).to_string();
    let set = t.api.put(PATH, &body).await.expect(200);
    assert_eq!((set["color"].as_str(), &set["origins"]), (Some("#0b7a75"), &json!(["https://app.example.com"])));
    let logo = json!({"image": png(64)}).to_string();
    let set = t.api.put(&format!("{PATH}/logo"), &logo).await.expect(200);
    assert_eq!((&set["logo"]["mediaType"], &set["name"]), (&json!("image/png"), &json!("Northwind")));

    // Pages of the portal are told by their application whose look they wear.
    let bare = t.api.anonymous();
    let page = bare.get(&format!("/portal?app={}", t.app)).await;
    assert!(page.header("content-security-policy").contains("frame-ancestors https://app.example.com;"));
    let text = page.text();
    let (_, after) = text.split_once("<img src=\"").unwrap();
    let shown = bare.get(after.split('"').next().unwrap()).await;
    assert_eq!((shown.status, shown.header("content-type")), (200, "image/png"));
    assert_eq!((shown.header("x-content-type-options"), shown.body.len()), ("nosniff", 24));
    let server = bare.get("/portal").await;
    assert!(server.header("content-security-policy").contains("frame-ancestors 'none'") && !server.text().contains("<img"));
    assert_eq!(bare.get(&format!("/portal/{}/brand/logo-000000000000", t.app)).await.status, 404);

    // Another organization sees none of it, and a link to the portal may not touch it.
    let other = foreign(&t);
    assert_eq!(other.get(PATH).await.expect(200), none);
    let path = format!("/api/v1/auth/app-portal-access/{}", t.app);
    let link = t.api.post(&path, "{}").await.expect(200);
    let guest = t.api.with_token(link["token"].as_str().unwrap());
    assert_eq!((guest.get(PATH).await.status, guest.put(PATH, "{}").await.status), (403, 403));

    let audited = t.api.get("/api/v1/audit?what=branding").await.expect(200);
    let told: Vec<&Value> = audited["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(told, ["updated", "created"]);
    t.api.delete(&format!("{PATH}/logo")).await.expect(200);
    assert_eq!(t.api.put(PATH, "{}").await.expect(200), none);
}

#[tokio::test]
async fn what_is_no_look_is_refused_at_its_place() {
    let t = Tenant::start().await;
    for (body, place) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(61)}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"color": "red"}), "color"),
        (json!({"color": "#0a5c8f;}"}), "color"),
        (json!({"darkColor": "#fff"}), "darkColor"),
        (json!({"origins": ["https://a.example", "https://a.example; script-src *"]}), "1"),
        (json!({"origins": vec!["https://a.example"; 21]}), "origins"),
        (json!({"logo": "https://elsewhere.example/logo.png"}), "logo"),
    ] {
        let refused = t.api.put(PATH, &body.to_string()).await.expect(422);
        assert!(refused.to_string().contains(place), "{body}: {refused}");
    }
    let svg = STANDARD.encode("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    let large = STANDARD.encode([b"\xff\xd8\xff".as_slice(), &[0; 64 << 10]].concat());
    for (image, words) in
        [("%", "not base64"), (&svg, "neither PNG"), ("", "neither PNG"), (&png(4096), "2048"), (large.as_str(), "64 KiB")]
    {
        let refused = t.api.put(&format!("{PATH}/logo"), &json!({ "image": image }).to_string()).await.expect(422);
        assert!(refused.to_string().contains(words), "{words}: {refused}");
    }
    assert_eq!(t.api.get(PATH).await.expect(200)["logo"], Value::Null);
}
