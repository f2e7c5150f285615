//! Every page of the dashboard and of the portal on a store full of history: how long the server takes for each.

use super::super::{
    Bench,
    api::{Admin, Target},
    client::{Connection, Route},
    figure::{Bounds, Figure, Measure},
    sample::Summary,
    server::Server,
    stock::Stock,
};
use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::{io::Write, time::Duration};
use tokio::time::Instant;

/// Nanoseconds that a page may take, and should.
const BOUNDS: Bounds = Bounds { floor: 200e6, goal: 50e6 };
/// How often each page is asked for.
const TIMES: u32 = 5;
/// The span of a search by time.
const HOUR: Duration = Duration::from_secs(3600);
/// The design's number of messages.
const MESSAGES: u32 = 1_000_000;

/// A page: whose, and where.
struct Page {
    portal: bool,
    path: String,
}

/// The worst median of a page; all pages are in the notes.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    ensure!(bench.given.is_none(), "it needs a server of our own");
    let recipe = bench.recipe(name).await?;
    let server = Server::start(&recipe).await?;
    let mut stock = Stock::configure(&mut Admin::new(server.target().clone())).await?;
    server.stop().await?;
    let count = bench.args.page_messages.unwrap_or(MESSAGES);
    let began = Instant::now();
    stock.fill(&recipe, &bench.random, u64::from(count)).await?;
    let filled = began.elapsed().as_secs_f64();
    let server = Server::start(&recipe).await?;
    let app = &stock.apps.first().context("no application")?.app;
    let token = Admin::new(server.target().clone()).portal(&app.to_string()).await?;
    let mut notes = vec![format!("{count} messages, written in {filled:.0} s; median and worst of {TIMES}, CPU of the server")];
    let mut slowest: Option<Summary> = None;
    let mut connection = Connection::default();
    for page in pages(&stock)? {
        let route = route(server.target(), &page, (&stock.session, &token))?;
        let before = server.usage()?.cpu;
        let summary = ask(&mut connection, &route, &page.path).await?;
        let cpu = server.usage()?.cpu.saturating_sub(before) / TIMES;
        let ms = |ns: u64| ns as f64 / 1e6;
        let note =
            format!("{:8.2} {:8.2} ms, CPU {:4} ms  {}", ms(summary.p50), ms(summary.max), cpu.as_millis(), shorten(&page.path));
        let _nobody_reads = writeln!(std::io::stderr().lock(), "{note}");
        notes.push(note);
        slowest = slowest.filter(|worst| worst.p50 >= summary.p50).or(Some(summary));
    }
    let rss = server.usage()?.rss;
    server.stop().await?;
    recipe.remove().await?;
    Ok(Figure {
        name,
        measure: slowest.map(|worst| Measure::Time(worst.p50)),
        bounds: Some(BOUNDS),
        unjudged: count < MESSAGES,
        rss: Some(rss),
        notes,
        ..Figure::default()
    })
}

/// A page's route, with the cookie of whoever looks at it.
fn route(target: &Target, page: &Page, (session, token): (&str, &str)) -> anyhow::Result<Route> {
    let cookie = if page.portal { format!("postrider_portal={token}") } else { format!("postrider_session={session}") };
    Route::new(target.address, Method::GET, &page.path, &[("cookie", &cookie)])
}

/// Asks for it some times.
async fn ask(connection: &mut Connection, route: &Route, path: &str) -> anyhow::Result<Summary> {
    let mut samples = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let (status, _) = connection.send(route, Bytes::new()).await?;
        samples.push(u64::try_from(began.elapsed().as_nanos())?);
        ensure!(status.is_success(), "{path}: {status}");
    }
    Summary::of(samples).context("no samples")
}

/// Without the long ids.
fn shorten(path: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    for letter in path.chars() {
        word = if letter.is_ascii_alphanumeric() { word + 1 } else { 0 };
        match word {
            0..=12 => short.push(letter),
            13 => short.push('…'),
            _ => {}
        }
    }
    short
}

/// What is asked for.
fn pages(stock: &Stock) -> anyhow::Result<Vec<Page>> {
    let stocked = stock.apps.first().context("no application")?;
    let [_, healthy, failing, held, ..] = stocked.endpoints.as_slice() else { anyhow::bail!("no endpoints") };
    let (app, middle, oldest) = (stocked.app, stock.middle, stock.oldest);
    let mut paths = plain(stock);
    paths.extend(["/dashboard/messages", &format!("/dashboard/messages?app={app}")].iter().flat_map(|path| searches(path, stock)));
    paths.push(format!("/dashboard/messages?app={app}&endpoint={held}&status=held"));
    paths.push(format!("/dashboard/applications/{app}"));
    paths.push(format!("/dashboard/applications/{app}/messages/{middle}"));
    paths.push(format!("/dashboard/applications/{app}/endpoints/{healthy}/edit"));
    for endpoint in [healthy, failing, held] {
        paths.extend(attempts(&format!("/dashboard/applications/{app}/endpoints/{endpoint}"), stock));
    }
    let portal = format!("/portal/{app}");
    let mut portals = vec![portal.clone(), format!("{portal}/event-types"), format!("{portal}/event-types/invoice.paid")];
    portals.extend(searches(&format!("{portal}/deliveries"), stock));
    portals.push(format!("{portal}/deliveries?endpoint={held}&status=held"));
    portals.push(format!("{portal}/messages/{oldest}"));
    portals.push(format!("{portal}/endpoints/new"));
    for endpoint in [healthy, failing, held] {
        portals.extend(attempts(&format!("{portal}/endpoints/{endpoint}"), stock));
        portals.push(format!("{portal}/endpoints/{endpoint}/edit"));
        portals.push(format!("{portal}/endpoints/{endpoint}/verify"));
    }
    let page = |portal| move |path| Page { portal, path };
    Ok(paths.into_iter().map(page(false)).chain(portals.into_iter().map(page(true))).collect())
}

/// Pages that are not about one application.
fn plain(stock: &Stock) -> Vec<String> {
    let mut paths: Vec<String> = ["", "/issues", "/issues?state=all", "/applications", "/sources", "/event-types"]
        .iter()
        .chain(&["/event-types/invoice.paid", "/replays", "/replays/new", "/audit", "/audit?what=endpoint&action=created"])
        .chain(&[
            "/audit?since=2026-01-01T00:00&user=nobody",
            "/keys",
            "/users",
            "/settings",
            "/settings/integrations/webhooks",
            "/alerts",
        ])
        .chain(&["/alerts/new", "/account"])
        .map(|path| format!("/dashboard{path}"))
        .collect();
    paths.push(format!("/dashboard/replays/{}", stock.replay));
    paths.push(format!("/dashboard/sources/{}", stock.source));
    paths
}

/// Searches with each filter: by what is frequent, by what is rare, and by what is not there at all.
fn searches(list: &str, stock: &Stock) -> Vec<String> {
    let (middle, oldest) = (stock.middle, stock.oldest);
    let (since, until) = (middle.time(), middle.time().plus(HOUR));
    let mark = if list.contains('?') { '&' } else { '?' };
    let mut queries = vec![String::new()];
    for status in ["delivered", "pending", "in_flight", "held", "failed", "cancelled"] {
        queries.push(format!("{mark}status={status}"));
    }
    queries.extend(
        ["code=503", "code=418", "tag=plain", "tag=rare", "tag=none", "type=invoice.paid", "type=contract.*", "field=id&value=5"]
            .iter()
            .chain(&["field=customer.name&value=Ann", "id=event-123", "status=failed&code=500&field=customer.level&value=3"])
            .map(|query| format!("{mark}{query}")),
    );
    queries.push(format!("{mark}since={since}&until={until}"));
    queries.push(format!("{mark}since={since}&until={until}&status=failed"));
    queries.extend([format!("{mark}before={middle}"), format!("{mark}after={middle}"), format!("{mark}after={oldest}")]);
    queries.extend([format!("{mark}before={middle}&code=418"), format!("{mark}after={oldest}&status=cancelled")]);
    queries.into_iter().map(|query| format!("{list}{query}")).collect()
}

/// An endpoint's page with each filter of its attempts.
fn attempts(page: &str, stock: &Stock) -> Vec<String> {
    let deep = crate::model::AttemptId(stock.middle.0);
    let queries =
        ["", "?status=delivered", "?status=failed", "?class=400", "?class=500", "?type=contract.ended", "?tag=rare", "?tag=none"];
    let mut paths: Vec<String> = queries.iter().map(|query| format!("{page}{query}")).collect();
    paths.extend([
        format!("{page}?iterator={deep}"),
        format!("{page}?iterator=-{deep}"),
        format!("{page}?iterator={deep}&tag=none"),
    ]);
    paths
}

impl Admin {
    /// A link's token to the portal of an application.
    async fn portal(&mut self, app: &str) -> anyhow::Result<String> {
        let answer = self.make(&format!("/api/v1/auth/app-portal-access/{app}"), &json!({})).await?;
        Ok(answer.get("token").and_then(serde_json::Value::as_str).context("the answer has no `token`")?.to_owned())
    }
}
