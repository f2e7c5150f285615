//! Words: a notice as a letter, plain and as HTML.

use crate::{
    mail::Letter,
    model::{Ended, Notice, NoticeLine, is_unseen},
};
use askama::Template;

/// Characters of somebody's text that are shown on a line.
const MAX_SHOWN: usize = 300;

#[derive(Template)]
#[template(path = "mail/notice.txt", escape = "none")]
struct Plain<'a> {
    began: Vec<Line<'a>>,
    over: Vec<Line<'a>>,
    notice: &'a Notice,
    more: u64,
    name: String,
    base: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail/notice.html")]
struct Html<'a> {
    began: Vec<Line<'a>>,
    over: Vec<Line<'a>>,
    notice: &'a Notice,
    more: u64,
    name: String,
    base: Option<&'a str>,
    title: String,
}

struct Line<'a> {
    line: &'a NoticeLine,
    app: String,
    url: String,
    finding: String,
    how: &'static str,
}

impl<'a> Line<'a> {
    fn of(line: &'a NoticeLine) -> Self {
        let url = if line.url.is_empty() { line.endpoint.to_string() } else { plain(&line.url) };
        let how = match line.ended {
            None => "",
            Some(Ended::Recovered) => "recovered",
            Some(Ended::Disabled) => "was disabled",
            Some(Ended::Gone) => "was deleted, or the rule is no longer about it",
        };
        Line { line, app: plain(&line.app_name), url, finding: plain(&line.finding), how }
    }
}

/// Somebody's text on one line, without what a terminal or a mail program might obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).take(MAX_SHOWN).collect()
}

fn endpoints(count: u64) -> String {
    if count == 1 { "1 endpoint".to_owned() } else { format!("{count} endpoints") }
}

fn subject(notice: &Notice) -> String {
    let name = plain(&notice.name);
    match (notice.began, notice.over) {
        (began, 0) => format!("[Postrider] {name}: {}", endpoints(began)),
        (0, over) => format!("[Postrider] {name}: over for {}", endpoints(over)),
        (began, over) => format!("[Postrider] {name}: {}, over for {}", endpoints(began), endpoints(over)),
    }
}

/// The letter of a notice to one address.
pub(super) fn letter(notice: &Notice, to: &str, base: Option<&str>) -> Result<Letter, String> {
    let lines = |over: bool| notice.lines.iter().filter(move |line| line.ended.is_some() == over).map(Line::of).collect();
    let more = (notice.began + notice.over).saturating_sub(notice.lines.len() as u64);
    let (name, title) = (plain(&notice.name), subject(notice));
    let text = Plain { began: lines(false), over: lines(true), notice, more, name: name.clone(), base };
    let text = text.render().map_err(|error| error.to_string())?;
    let html = Html { began: lines(false), over: lines(true), notice, more, name, base, title: title.clone() };
    let html = html.render().map_err(|error| error.to_string())?;
    Ok(Letter { to: vec![to.to_owned()], subject: title, text, html, id: notice.id.to_string() })
}

/// A letter that only shows that letters arrive.
#[must_use]
pub fn trial(name: &str, to: &str, id: String) -> Letter {
    let name = plain(name);
    let text = format!("This is a test of the alert \"{name}\" of Postrider. Nothing has happened: letters arrive here.\n");
    let escaped: String = name.chars().map(escape).collect();
    let html = format!(
        "<!doctype html><meta charset=\"utf-8\"><p>This is a test of the alert <strong>{escaped}</strong> of Postrider.</p>\
         <p>Nothing has happened: letters arrive here.</p>"
    );
    Letter { to: vec![to.to_owned()], subject: format!("[Postrider] {name}: a test"), text, html, id }
}

fn escape(c: char) -> String {
    match c {
        '<' | '>' | '&' | '"' | '\'' => format!("&#{};", u32::from(c)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertId, AppId, EndpointId, NoticeId, OrgId, Telling, Time};

    fn notice(name: &str, app_name: &str) -> Notice {
        let line = |n, ended| NoticeLine {
            app: AppId(1),
            app_name: app_name.into(),
            endpoint: EndpointId(n),
            url: format!("https://hooks.example/{n}"),
            since: Time(0),
            finding: "Every attempt has failed.".into(),
            ended,
        };
        Notice {
            id: NoticeId(7),
            org: OrgId(1),
            alert: AlertId(1),
            name: name.into(),
            lines: vec![line(1, None), line(2, Some(Ended::Recovered))],
            began: 41,
            over: 1,
            mails: Vec::new(),
            message: Telling::Unused,
            tries: 0,
            due_at: Time(0),
            expires_at: Time(0),
        }
    }

    #[test]
    fn a_letter_tells_all_and_counts_the_rest() {
        let letter = letter(&notice("Failing", "Acme"), "ann@example.com", Some("https://postrider.example")).unwrap();
        assert_eq!(letter.subject, "[Postrider] Failing: 41 endpoints, over for 1 endpoint");
        for text in [&letter.text, &letter.html] {
            assert!(text.contains("https://hooks.example/1") && text.contains("recovered") && text.contains("40 more"), "{text}");
            assert!(text.contains(&format!("https://postrider.example/dashboard/applications/{}", AppId(1))), "{text}");
        }
    }

    #[test]
    fn strangers_words_stay_words() {
        let evil = "<script>alert(1)</script>\r\nBcc: x@y.z \u{202e}";
        let letter = letter(&notice(evil, evil), "ann@example.com", None).unwrap();
        assert!(!letter.html.contains("<script") && letter.html.contains("&#60;script"), "{}", letter.html);
        assert!(!letter.subject.contains(['\r', '\n']) && !letter.text.contains("\r\nBcc") && !letter.text.contains('\u{202e}'));
        let trial = trial(evil, "ann@example.com", "x".into());
        assert!(!trial.html.contains("<script") && !trial.subject.contains('\n'));
    }
}
