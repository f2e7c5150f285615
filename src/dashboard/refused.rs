//! What a form or a search was refused for: each refusal stands beside its field, and everything stays as it was entered.

use super::{error::reasons, fields::Fields};
use crate::api::Problem;
use askama::filters::{Html, HtmlSafe, escape};
use axum::http::StatusCode;
use std::fmt;

/// The form that filters a page's list.
pub(super) const FILTERS: &str = "filters";

/// What the API calls a field, and what the form calls it, where that is something else.
pub(super) type Names = [(&'static str, &'static str)];

/// A refused form of a page. A field is named by its form and its own name: `make.login`.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    form: &'static str,
    given: Fields,
    /// Field and sentence; the field is empty where none of the form's is at fault.
    faults: Vec<(String, String)>,
}

impl Refused {
    /// A form with what was entered and why it was refused.
    ///
    /// # Errors
    /// No other entry would mend it: the right is missing, or we broke.
    pub(super) fn new(form: &'static str, problem: Problem, given: Fields, names: &Names) -> Result<Self, Problem> {
        let faults = match &problem {
            Problem::Invalid(items) => items.iter().map(|item| fault(&item.loc, &item.msg, &given, names)).collect(),
            Problem::BadRequest(..) | Problem::Conflict(_) | Problem::NotFound(_) | Problem::TooLarge => {
                reasons(&problem).into_iter().map(|text| (String::new(), text)).collect()
            }
            _ => return Err(problem),
        };
        Ok(Refused { form, given, faults })
    }

    /// What a filter's values found, or nothing and why they are refused.
    ///
    /// # Errors
    /// The failure is not the filter's.
    pub(super) fn filters<T: Default>(found: Result<T, Problem>, asked: &Fields, names: &Names) -> Result<(T, Self), Problem> {
        match found {
            Ok(found) => Ok((found, Refused::default())),
            Err(problem @ Problem::NotFound(_)) => Err(problem),
            Err(problem) => Ok((T::default(), Refused::new(FILTERS, problem, asked.clone(), names)?)),
        }
    }

    /// The first of two that says anything.
    pub(super) fn or(self, other: Self) -> Self {
        if self.faults.is_empty() { other } else { self }
    }

    /// The page's status.
    pub(super) fn status(&self) -> StatusCode {
        if self.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
    }

    /// What was entered.
    pub(super) fn given(&self) -> &Fields {
        &self.given
    }

    /// Whether anything was refused.
    pub(super) fn any(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The field's name, if it is one of this form.
    fn field<'p>(&self, place: &'p str) -> Option<&'p str> {
        place.split_once('.').filter(|(form, _)| *form == self.form).map(|(_, field)| field)
    }

    fn texts(&self, place: &str) -> impl Iterator<Item = &str> {
        let field = self.field(place);
        self.faults.iter().filter(move |(at, _)| Some(at.as_str()) == field).map(|(_, text)| text.as_str())
    }

    /// What stands in a field: what was entered, or what is there without a refusal.
    pub(super) fn value<'a>(&'a self, place: &str, default: &'a str) -> &'a str {
        self.field(place).map_or(default, |field| self.given.raw(field))
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, place: &str, default: bool) -> bool {
        self.field(place).map_or(default, |field| self.given.ticked(field))
    }

    /// What tells a reader that a field is at fault, and where the refusal stands.
    pub(super) fn mark(&self, place: &'static str) -> Mark {
        Mark(self.texts(place).next().map(|_| place))
    }

    /// The refusal, to stand beside the field.
    pub(super) fn beside(&self, place: &'static str) -> Beside {
        Beside(place, self.texts(place).collect::<Vec<_>>().join(" "))
    }

    /// Refusals that are of no field of the form.
    pub(super) fn rest(&self, form: &str) -> Rest {
        let own = self.faults.iter().filter(|(at, _)| form == self.form && at.is_empty());
        Rest(own.map(|(_, text)| text.clone()).collect())
    }

    /// All refusals of a form, where its fields have no room for them.
    pub(super) fn all(&self, form: &str) -> Rest {
        Rest(self.faults.iter().filter(|_| form == self.form).map(|(_, text)| text.clone()).collect())
    }
}

/// Which field of the form is meant, and the rule as a sentence.
fn fault(loc: &[String], msg: &str, given: &Fields, names: &Names) -> (String, String) {
    let renamed = loc.iter().find_map(|part| names.iter().find(|(theirs, _)| theirs == part).map(|(_, ours)| *ours));
    let own = || loc.iter().find(|part| given.0.iter().any(|(name, _)| name == *part)).map(String::as_str);
    match renamed.or_else(own) {
        Some(field) => (field.to_owned(), sentence(msg)),
        None => {
            let place: Vec<&str> = loc.iter().map(String::as_str).filter(|part| !matches!(*part, "body" | "query")).collect();
            let text = if place.is_empty() { sentence(msg) } else { format!("{}: {msg}", place.join(".")) };
            (String::new(), text)
        }
    }
}

/// A rule as a sentence of its own.
pub(super) fn sentence(rule: &str) -> String {
    let mut letters = rule.chars();
    let mut text: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

fn id(place: &str) -> String {
    format!("fault-{}", place.replace('.', "-"))
}

/// Attributes of a field at fault.
#[derive(Debug)]
pub(super) struct Mark(Option<&'static str>);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, " aria-invalid=\"true\" aria-describedby=\"{}\"", id(place)),
            None => Ok(()),
        }
    }
}

// Places are written in templates.
impl HtmlSafe for Mark {}

/// What is wrong with a field, beside it.
#[derive(Debug)]
pub(super) struct Beside(&'static str, String);

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_empty() {
            return Ok(());
        }
        let Ok(text) = escape(self.1.as_str(), Html);
        write!(f, "<span class=\"fault at\" id=\"{}\" role=\"alert\">{text}</span>", id(self.0))
    }
}

// The text is escaped.
impl HtmlSafe for Beside {}

/// What is wrong with a form, above it.
#[derive(Debug)]
pub(super) struct Rest(Vec<String>);

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.0 {
            let Ok(text) = escape(text.as_str(), Html);
            write!(f, "<p class=\"fault\" role=\"alert\">{text}</p>")?;
        }
        Ok(())
    }
}

// The texts are escaped.
impl HtmlSafe for Rest {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(problem: Problem) -> Refused {
        let given = Fields::parse(b"login=a+b&throttle=x");
        Refused::new("make", problem, given, &[("throttleRate", "throttle")]).unwrap()
    }

    #[test]
    fn a_refusal_stands_at_its_field_with_what_was_entered() {
        let one = refused(Problem::field(&["body", "login"], "pattern", "it has <no> spaces"));
        assert_eq!(one.mark("make.login").to_string(), " aria-invalid=\"true\" aria-describedby=\"fault-make-login\"");
        let beside = one.beside("make.login").to_string();
        assert!(beside.starts_with("<span class=\"fault at\" id=\"fault-make-login\" role=\"alert\">It has &#"), "{beside}");
        assert!(beside.ends_with(" spaces.</span>") && !beside.contains("<no>"), "{beside}");
        assert_eq!((one.value("make.login", "x"), one.value("other.login", "x")), ("a b", "x"));
        assert_eq!((one.mark("other.login").to_string(), one.mark("make.throttle").to_string()), (String::new(), String::new()));
        assert_eq!((one.rest("make").to_string(), one.status().as_u16(), one.any()), (String::new(), 422, true));
        let other = refused(Problem::field(&["body", "throttleRate"], "range", "Too much."));
        assert_eq!(other.mark("make.throttle").to_string(), " aria-invalid=\"true\" aria-describedby=\"fault-make-throttle\"");
    }

    #[test]
    fn what_is_of_no_field_stands_above_and_what_no_entry_mends_is_a_page() {
        let one = refused(Problem::field(&["body", "secret"], "length", "Too long."));
        assert_eq!(one.rest("make").to_string(), "<p class=\"fault\" role=\"alert\">secret: Too long.</p>");
        assert!(one.rest("other").to_string().is_empty() && refused(Problem::conflict("It exists.")).any());
        assert!(Refused::new("make", Problem::forbidden("No."), Fields::default(), &[]).is_err());
        let none = Refused::default();
        assert_eq!((none.status().as_u16(), none.value("make.login", "x"), none.any()), (200, "x", false));
        assert!(none.ticked("make.a", true) && !none.ticked("make.a", false));
    }

    #[test]
    fn a_search_with_a_bad_value_finds_nothing_and_says_why() {
        let asked = Fields::parse(b"code=x");
        let (found, why) = Refused::filters::<Vec<u8>>(Err(Problem::field(&["code"], "status", "No.")), &asked, &[]).unwrap();
        assert!(found.is_empty() && why.any() && why.value("filters.code", "") == "x");
        assert!(Refused::filters::<Vec<u8>>(Err(Problem::not_found("source")), &asked, &[]).is_err());
        assert!(!Refused::filters(Ok(vec![1]), &asked, &[]).unwrap().1.any());
    }
}
