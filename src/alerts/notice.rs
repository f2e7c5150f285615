//! Notices: made from what is to be told, and sent on each of their ways until they have gone or are given up.

use super::{CLAIM, Options, state::Told, words};
use crate::{
    flow::Engine,
    mail::MailError,
    model::{
        Address, Alert, AlertState, Attempt, Cause, Condition, Incident, Mail, Notice, NoticeId, NoticeLine, OPERATIONAL_UID,
        Record, Telling, Time,
    },
    store::{Change, StoreError, Window},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Lines of a notice; more are counted.
const MAX_LINES: usize = 50;
/// How long a notice is kept.
const KEPT: Duration = Duration::from_secs(14 * 86_400);
/// When it is tried again, in seconds after a failure; after the last it is given up, a day after it was made.
const AGAIN_S: [u64; 12] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 14_400, 14_400, 14_400];
/// Letters of one notice that are on their way at once.
const LETTERS_AT_ONCE: usize = 4;
/// Characters of a URL that are told.
const MAX_URL: usize = 300;
/// The word of operational messages about what began.
const TRIGGERED: &str = "alert.triggered";
/// The word of operational messages about what ended.
const RECOVERED: &str = "alert.recovered";

/// Makes a notice.
pub(super) async fn compose(engine: &Engine, rule: &Alert, told: Told, now: Time) -> Result<Notice, StoreError> {
    let (began, over) = (told.began.len() as u64 + told.unlisted, told.over.len() as u64);
    let mut lines = Vec::new();
    for incident in told.began.iter().chain(&told.over).take(MAX_LINES) {
        lines.push(line(engine, rule, incident).await?);
    }
    let waiting = || Telling::Waiting { error: None };
    Ok(Notice {
        id: NoticeId(engine.random.id(now)),
        org: rule.org,
        alert: rule.id,
        name: rule.name.clone(),
        lines,
        began,
        over,
        mails: rule.emails.iter().map(|to| Mail { to: to.clone(), telling: waiting() }).collect(),
        message: if rule.operational { waiting() } else { Telling::Unused },
        tries: 0,
        due_at: now,
        expires_at: now.plus(KEPT),
    })
}

async fn line(engine: &Engine, rule: &Alert, incident: &Incident) -> Result<NoticeLine, StoreError> {
    let placed = engine.routing.endpoint(incident.endpoint);
    let mut finding = incident.finding.clone();
    let of_failures = !matches!(rule.condition, Condition::Held { .. } | Condition::OldestAge { .. });
    if incident.ended.is_none() && of_failures {
        let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit: 1 };
        let attempts = engine.store.attempts(incident.endpoint, newest).await?;
        if let Some(attempt) = attempts.first().filter(|attempt| !attempt.outcome.succeeded()) {
            finding = format!("{finding} {}", sentence(attempt));
        }
    }
    Ok(NoticeLine {
        app: incident.app,
        app_name: placed.as_ref().map(|(app, _)| app.application.name.clone()).unwrap_or_default(),
        endpoint: incident.endpoint,
        // What is behind the question mark may be a token of the receiver's.
        url: placed
            .map(|(_, route)| route.url.split('?').next().unwrap_or_default().chars().take(MAX_URL).collect())
            .unwrap_or_default(),
        since: incident.since,
        finding,
        ended: incident.ended,
    })
}

fn sentence(attempt: &Attempt) -> String {
    match (attempt.outcome.cause, attempt.outcome.status) {
        (Cause::BadStatus, Some(status)) => format!("The receiver answered {status}."),
        (cause, _) => cause.sentence().to_owned(),
    }
}

/// Those of a state's notices that have not gone all their ways.
pub(super) async fn still_open(engine: &Engine, state: &AlertState) -> Result<Vec<NoticeId>, StoreError> {
    let mut open = Vec::new();
    for id in &state.open {
        if find(engine, state, *id).await?.is_some_and(|(notice, _)| notice.is_open()) {
            open.push(*id);
        }
    }
    Ok(open)
}

async fn find(engine: &Engine, state: &AlertState, id: NoticeId) -> Result<Option<(Notice, u64)>, StoreError> {
    let found = engine.store.find(&Address::notice(state.alert, id), engine.clock.now()).await?;
    Ok(found.and_then(|found| match found.record {
        Record::Notice(notice) => Some((*notice, found.revision)),
        _ => None,
    }))
}

/// Sends those that are due and nobody else's just now.
pub(super) async fn send_all(engine: Arc<Engine>, options: Options, state: AlertState) {
    if let Err(error) = send(&engine, &options, &state).await
        && !engine.stopping()
    {
        tracing::error!(%error, "notices are sent in the next round");
    }
}

async fn send(engine: &Arc<Engine>, options: &Options, state: &AlertState) -> Result<(), StoreError> {
    for id in &state.open {
        let now = engine.clock.now();
        let Some((mut notice, revision)) = find(engine, state, *id).await? else { continue };
        if !notice.is_open() || notice.due_at > now {
            continue;
        }
        notice.tries += 1;
        notice.due_at = now.plus(CLAIM);
        match write(engine, &notice, revision).await {
            Err(StoreError::Stale) => continue,
            other => other?,
        }
        try_once(engine, options, &mut notice).await;
        let Some((_, revision)) = find(engine, state, *id).await? else { continue };
        match write(engine, &notice, revision).await {
            Err(StoreError::Stale) => {}
            other => other?,
        }
    }
    Ok(())
}

async fn write(engine: &Engine, notice: &Notice, revision: u64) -> Result<(), StoreError> {
    engine.store.change(vec![Change::Replace(Record::Notice(Box::new(notice.clone())), revision)], engine.clock.now()).await
}

async fn try_once(engine: &Arc<Engine>, options: &Options, notice: &mut Notice) {
    let wait = notice.tries.checked_sub(1).and_then(|tries| AGAIN_S.get(usize::try_from(tries).unwrap_or(usize::MAX)));
    let later = |words: String| match wait {
        Some(_) => Telling::Waiting { error: Some(words) },
        None => Telling::Failed(words),
    };
    if notice.message.is_open() {
        notice.message = match tell(engine, notice).await {
            Ok(true) => Telling::Sent(engine.clock.now()),
            Ok(false) => Telling::Failed("There is no operational webhook endpoint.".into()),
            Err(error) => later(error.to_string()),
        };
    }
    let copy = Arc::new(notice.clone());
    let letters = notice.mails.drain(..).map(|mail| deliver(engine, options, copy.clone(), mail));
    let told: Vec<(Mail, Option<MailError>)> = stream::iter(letters).buffered(LETTERS_AT_ONCE).collect().await;
    for (mut mail, error) in told {
        if let Some(error) = error {
            tracing::warn!(notice = %notice.id, %error, "a letter did not go");
            mail.telling = match error {
                MailError::Refused(words) | MailError::Setup(words) => Telling::Failed(words),
                MailError::Away(words) => later(words),
            };
        }
        notice.mails.push(mail);
    }
    notice.due_at = engine.clock.now().plus(Duration::from_secs(wait.copied().unwrap_or(0)));
}

/// Sends a letter that has not gone.
async fn deliver(engine: &Engine, options: &Options, notice: Arc<Notice>, mail: Mail) -> (Mail, Option<MailError>) {
    if !mail.telling.is_open() {
        return (mail, None);
    }
    let sent = match (&options.mailer, words::letter(&notice, &mail.to, options.public_url.as_deref())) {
        (None, _) => Err(MailError::Setup("No mail server is configured.".into())),
        (_, Err(error)) => Err(MailError::Refused(error)),
        (Some(mailer), Ok(letter)) => mailer.send(&letter).await,
    };
    match sent {
        Ok(()) => (Mail { telling: Telling::Sent(engine.clock.now()), ..mail }, None),
        Err(error) => (mail, Some(error)),
    }
}

/// Tells by operational messages; `false` when nobody listens.
async fn tell(engine: &Arc<Engine>, notice: &Notice) -> Result<bool, StoreError> {
    // What happens to the operator's own endpoints is not told to them.
    let own = engine.routing.app(notice.org, OPERATIONAL_UID).map(|app| app.application.id);
    let mut told = true;
    for (kind, count, over) in [(TRIGGERED, notice.began, false), (RECOVERED, notice.over, true)] {
        let lines = notice.lines.iter().filter(|line| line.ended.is_some() == over && Some(line.app) != own);
        let endpoints: Vec<Value> = lines.map(shown).collect();
        if count == 0 || (endpoints.is_empty() && notice.lines.iter().any(|line| line.ended.is_some() == over)) {
            continue;
        }
        let data = json!({ "alertId": notice.alert, "alertName": notice.name, "noticeId": notice.id, "count": count, "endpoints": endpoints });
        told &= engine.tell_operator(notice.org, (kind, format!("{}.{kind}", notice.id)), data).await?;
    }
    Ok(told)
}

fn shown(line: &NoticeLine) -> Value {
    json!({
        "appId": line.app, "endpointId": line.endpoint, "url": line.url, "since": line.since.to_string(),
        "finding": line.finding, "ended": line.ended,
    })
}
