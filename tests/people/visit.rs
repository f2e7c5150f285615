//! A browser without a screen: follows what it is told and keeps cookies.

use crate::support::{Answer, Api, Server};
use std::collections::BTreeMap;

pub(crate) struct Visit {
    api: Api,
    cookies: BTreeMap<String, String>,
}

impl Visit {
    pub(crate) fn of(server: &Server) -> Self {
        Visit { api: server.api().anonymous(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    /// Sends a form.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", path, &body).await
    }

    /// Sends a form of a page that was just loaded: with what proves that it is ours.
    pub(crate) async fn submit(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let text = self.get(page).await.text();
        let (_, after) = text.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("no form in {page}: {text}"));
        let token = after.split('"').next().unwrap().to_owned();
        self.post(path, &[fields, &[("form_token", &token)]].concat()).await
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let headers = [("cookie", cookies.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let answer = self.api.send(method, path, &headers, body).await;
        for line in answer.headers.get_all("set-cookie") {
            let (pair, rest) = line.to_str().unwrap().split_once(';').unwrap();
            assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax"), "{rest}");
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name)
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned())
            };
        }
        answer
    }

    /// Takes a cookie away.
    pub(crate) fn forget(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    /// Comes by a link that signs in once.
    pub(crate) async fn enter(&mut self, link: &str) -> Answer {
        let (_, text) = link.split_once("link=").unwrap();
        self.post("/dashboard/enter", &[("link", text)]).await
    }

    /// Signs in by a password; whether that worked.
    pub(crate) async fn sign_in(&mut self, login: &str, password: &str) -> bool {
        let answer = self.post("/dashboard/sign-in", &[("login", login), ("password", password), ("next", "")]).await;
        assert!(matches!(answer.status, 303 | 422 | 403), "{}", answer.status);
        answer.status == 303
    }

    /// Whether somebody is signed in, and as what: the word of their role.
    pub(crate) async fn role(&mut self) -> Option<String> {
        let answer = self.get("/dashboard/account").await;
        let text = answer.text();
        let (_, after) = text.split_once("</a> <span class=\"badge\">").filter(|_| answer.status == 200)?;
        after.split('<').next().map(str::to_owned)
    }
}
