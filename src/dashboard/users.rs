//! Users: who may sign in, and what they may do. For admins.

use super::{
    Dashboard,
    error::Shown,
    fields::Filled,
    page::{Page, Shell},
    sign_in::sessions_of,
    view::When,
    visitor::Visitor,
};
use crate::{
    api::{
        Problem,
        user::{UserIn, add, all, relink},
    },
    model::{Address, Kind, Record, Role, User, UserId},
    store::{Change, Stored},
};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/users", get(list).post(make))
        .route("/dashboard/users/{user}/role", post(role))
        .route("/dashboard/users/{user}/link", post(link))
        .route("/dashboard/users/{user}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "dashboard/users.html")]
struct Users {
    shell: Shell,
    rows: Vec<Row>,
    roles: [Role; 3],
    /// A link that was just made, and for whom.
    link: Option<(String, String)>,
}

struct Row {
    id: UserId,
    login: String,
    name: String,
    role: &'static str,
    made: When,
    has_password: bool,
    me: bool,
}

async fn list(visitor: Visitor) -> Shown {
    visitor.need(Role::Admin)?;
    page(visitor, None).await
}

async fn page(visitor: Visitor, link: Option<(String, String)>) -> Shown {
    let rows = all(&*visitor.desk.api().engine.store, visitor.user.org, visitor.now()).await?.into_iter();
    let rows = rows.map(|user| Row {
        me: user.id == visitor.user.id,
        id: user.id,
        role: user.role.word(),
        made: When(user.created_at),
        has_password: user.password.is_some(),
        login: user.login,
        name: user.name,
    });
    let rows = rows.collect();
    Ok(Page(Users { shell: Shell::new(&visitor, "Users", "users"), rows, roles: Role::ALL, link }).into_response())
}

/// Makes a user without a password, and the link with which they choose one.
async fn make(Filled { visitor, fields }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    let role = Role::named(fields.text("role")).ok_or_else(|| Problem::field(&["role"], "enum", "This is not a role."))?;
    let wanted = UserIn { login: fields.text("login").to_owned(), name: fields.text("name").to_owned(), role };
    let (now, engine) = (visitor.now(), &visitor.desk.api().engine);
    let (user, path) = add(|changes| engine.change(changes), &engine.random, now, (visitor.user.org, wanted)).await?;
    let link = format!("{}{path}", visitor.base);
    page(visitor, Some((user.login, link))).await
}

async fn find(visitor: &Visitor, id: &str) -> Result<(User, u64), Problem> {
    let nobody = || Problem::not_found("user");
    let id: UserId = id.parse().map_err(|_| nobody())?;
    let found = visitor.desk.api().engine.store.find(&Address::new(Kind::User, visitor.user.org, id), visitor.now()).await?;
    let Some(Stored { record: Record::User(user), revision }) = found else { return Err(nobody()) };
    Ok((user, revision))
}

/// Nobody locks themselves out: there is always one admin left.
fn others_only(visitor: &Visitor, user: &User) -> Result<(), Problem> {
    if user.id == visitor.user.id {
        return Err(Problem::conflict("Ask another admin to change your own account."));
    }
    Ok(())
}

async fn role(Path(id): Path<String>, Filled { visitor, fields }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    let (user, revision) = find(&visitor, &id).await?;
    others_only(&visitor, &user)?;
    let role = Role::named(fields.text("role")).ok_or_else(|| Problem::field(&["role"], "enum", "This is not a role."))?;
    let now = visitor.now();
    let change = Change::Replace(Record::User(User { role, updated_at: now, ..user }), revision);
    visitor.desk.api().engine.change(vec![change]).await?;
    Ok(Redirect::to("/dashboard/users?note=role").into_response())
}

async fn link(Path(id): Path<String>, Filled { visitor, .. }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    let (now, engine) = (visitor.now(), &visitor.desk.api().engine);
    let (user, path) =
        relink(&*engine.store, |changes| engine.change(changes), &engine.random, now, (visitor.user.org, &id)).await?;
    let link = format!("{}{path}", visitor.base);
    page(visitor, Some((user.login, link))).await
}

/// Deletes a user with all their sessions.
async fn delete(Path(id): Path<String>, Filled { visitor, .. }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    let (user, _) = find(&visitor, &id).await?;
    others_only(&visitor, &user)?;
    let sessions = sessions_of(&visitor, &user).await?.into_iter();
    let mut changes: Vec<Change> = sessions.map(|s| Change::Delete(Address::new(Kind::Session, s.org, s.id))).collect();
    changes.push(Change::Delete(Address::new(Kind::User, user.org, user.id)));
    visitor.desk.api().engine.change(changes).await?;
    Ok(Redirect::to("/dashboard/users?note=deleted").into_response())
}
