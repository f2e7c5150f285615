//! Users: who may sign in, and what they may do. For admins.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has},
    view::{Pager, When},
    visitor::Visitor,
};
use crate::{
    api::{
        Problem,
        user::{UserIn, UserPatch, add, change, relink, remove},
    },
    model::{Role, User},
};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;

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
    rows: Vec<UserView>,
    me: String,
    roles: [Role; 3],
    /// A link that was just made, and for whom.
    link: Option<(String, String)>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

/// A user, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserView {
    id: String,
    login: String,
    name: String,
    role: String,
    created_at: When,
    has_password: bool,
}

async fn list(visitor: Visitor) -> Shown {
    visitor.need(Role::Admin)?;
    page(visitor, None, Refused::default()).await
}

async fn page(visitor: Visitor, link: Option<(String, String)>, refused: Refused) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let sifted = Sifted { path: "/api/v1/user?", from: asked.text("iterator"), limit: LIMIT, id: |row: &UserView| &row.id };
    let (part, role) = (asked.text("q"), asked.given("role"));
    let wanted = |row: &UserView| (has(&row.login, part) || has(&row.name, part)) && role.is_none_or(|role| row.role == role);
    let found = match asked.one_of("role", &Role::ALL.map(Role::word)) {
        Ok(()) => sifted.rows(&visitor.desk, wanted).await,
        Err(problem) => Err(problem),
    };
    let (listed, badly) = Refused::filters(found, &asked, &[])?;
    let refused = refused.or(badly);
    let pager = listed.pager(&visitor.query);
    let me = visitor.user.id.to_string();
    let shell = Shell::new(&visitor, "Users", "users");
    let page = Users { shell, rows: listed.data, me, roles: Role::ALL, link, pager, asked, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Makes a user without a password, and the link with which they choose one.
async fn make(Filled { visitor, fields }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    match try_make(&visitor, &fields).await {
        Ok(made) => page(visitor, Some(made), Refused::default()).await,
        Err(problem) => page(visitor, None, Refused::new("make", problem, fields, &[])?).await,
    }
}

/// The new user's login, and their link.
async fn try_make(visitor: &Visitor, fields: &Fields) -> Result<(String, String), Problem> {
    let role = Role::named(fields.text("role")).ok_or_else(|| Problem::field(&["role"], "enum", "This is not a role."))?;
    let wanted = UserIn { login: fields.text("login").to_owned(), name: fields.text("name").to_owned(), role };
    let (now, engine) = (visitor.now(), &visitor.desk.api().engine);
    let (user, path) = add(|changes| engine.change(changes), &engine.random, now, (visitor.user.org, wanted)).await?;
    Ok((user.login, format!("{}{path}", visitor.base)))
}

/// Whether a path that names a user, by id or login, names this one.
fn is_named(user: &User, who: &str) -> bool {
    who.parse() == Ok(user.id) || who.to_lowercase() == user.login.to_lowercase()
}

/// Nobody locks themselves out.
fn others_only(visitor: &Visitor, id: &str) -> Result<(), Problem> {
    if is_named(&visitor.user, id) {
        return Err(Problem::conflict("Ask another admin to change your own account."));
    }
    Ok(())
}

async fn role(Path(id): Path<String>, Filled { visitor, fields }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    match try_role(&visitor, &id, &fields).await {
        Ok(()) => Ok(Redirect::to("/dashboard/users?note=role").into_response()),
        Err(problem) => page(visitor, None, Refused::new("role", problem, fields, &[])?).await,
    }
}

async fn try_role(visitor: &Visitor, id: &str, fields: &Fields) -> Result<(), Problem> {
    others_only(visitor, id)?;
    let role = Role::named(fields.text("role")).ok_or_else(|| Problem::field(&["role"], "enum", "This is not a role."))?;
    change(visitor.desk.api(), (visitor.user.org, id), &UserPatch { name: None, role: Some(role) }).await.map(drop)
}

async fn link(Path(id): Path<String>, Filled { visitor, .. }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    let (now, engine) = (visitor.now(), &visitor.desk.api().engine);
    let (user, path) =
        relink(&*engine.store, |changes| engine.change(changes), &engine.random, now, (visitor.user.org, &id)).await?;
    let link = format!("{}{path}", visitor.base);
    page(visitor, Some((user.login, link)), Refused::default()).await
}

/// Deletes a user with all their sessions.
async fn delete(Path(id): Path<String>, Filled { visitor, .. }: Filled) -> Shown {
    visitor.need(Role::Admin)?;
    others_only(&visitor, &id)?;
    remove(visitor.desk.api(), (visitor.user.org, &id)).await?;
    Ok(Redirect::to("/dashboard/users?note=deleted").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrgId, Time, UserId};

    #[test]
    fn a_login_names_a_user_as_an_id_does() {
        let user = User {
            id: UserId(7),
            org: OrgId(1),
            login: "ann".into(),
            name: String::new(),
            role: Role::Admin,
            password: None,
            created_at: Time(0),
            updated_at: Time(0),
        };
        assert!(is_named(&user, "ann") && is_named(&user, "Ann") && is_named(&user, &user.id.to_string()));
        assert!(!is_named(&user, "bob") && !is_named(&user, &UserId(8).to_string()));
    }
}
