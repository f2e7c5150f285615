//! `postrider users`, beside a server and without one.

use crate::{
    support::{Server, run},
    visit::Visit,
};

fn said(args: &[&str]) -> (bool, String, String) {
    let output = run(args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn users_are_made_and_given_links_beside_a_server() {
    let server = Server::start().await;
    let data = server.data().join("data");
    let place = ["--data", data.to_str().unwrap(), "--url", &server.url()];
    let users = |args: &[&str]| said(&[&["users"], args, &place[..]].concat());
    let (good, link, told) = users(&["add", "ann", "--role", "operator", "--name", "Ann"]);
    assert!(good && told.contains("ann (operator)"), "{told}");
    let mut ann = Visit::of(&server);
    ann.enter(link.trim()).await;
    assert_eq!(ann.role().await.as_deref(), Some("operator"));
    let (good, _, told) = users(&["add", "ann"]);
    assert!(!good && told.contains("Somebody has this name"), "{told}");
    let (good, _, told) = users(&["add", "bob", "--role", "root"]);
    assert!(!good && told.contains("viewer, operator or admin"), "{told}");
    let (good, link, _) = users(&["reset-link", "ann"]);
    assert!(good);
    assert_eq!(Visit::of(&server).enter(link.trim()).await.status, 303);
    let (good, listed, _) = users(&["list"]);
    assert!(good && listed.lines().count() == 2 && listed.contains("ann") && listed.contains("admin"), "{listed}");
    let (good, _, told) = users(&["link", "nobody"]);
    assert!(!good && told.contains("no such user"), "{told}");
}
