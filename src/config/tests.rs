//! Layers, provenance and refusals.

use super::*;
use std::{collections::HashMap, path::Path};

fn given(variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Given {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let flags: HashMap<_, _> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    Given { file: None, variables: owned(variables), flags }
}

fn file(text: &str) -> (tempfile::TempDir, Given) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Given { file: Some(path), ..Given::default() })
}

fn source(config: &Config, name: &str) -> String {
    config.in_force.iter().find(|setting| setting.name == name).unwrap().source.to_string()
}

#[test]
fn defaults_are_the_engines_own() {
    let config = Config::read(&Given::default()).unwrap();
    let settings = crate::flow::Settings::default();
    assert_eq!(config.retry_policy, settings.retry_policy);
    assert_eq!(config.attempt_timeout, settings.attempt_timeout);
    assert_eq!(config.retention, settings.retention);
    assert_eq!(config.disable_after, settings.disable_after);
    assert_eq!(config.max_payload, 1 << 20);
    assert!(config.in_force.iter().all(|setting| setting.source == Source::Default));
}

#[test]
fn later_layers_win_and_say_so() {
    let (_folder, mut given) = file("listen = '0.0.0.0:1'\nretention = '1d'\n\nattempt_timeout = 3\nlog = 'warn'\n");
    given.variables = [("POSTRIDER_RETENTION".into(), "2d".into()), ("POSTRIDER_LOG".into(), "debug".into())].into();
    given.flags = [("log", "error".to_owned())].into();
    let config = Config::read(&given).unwrap();
    assert_eq!(config.listen, "0.0.0.0:1");
    assert_eq!(config.attempt_timeout, Duration::from_secs(3));
    assert_eq!(config.retention, Duration::from_secs(2 * DAY_S));
    assert_eq!(config.log, "error");
    assert!(source(&config, "attempt_timeout").ends_with("some.toml:4"));
    assert_eq!(source(&config, "retention"), "POSTRIDER_RETENTION");
    assert_eq!(source(&config, "log"), "--log");
    assert_eq!(source(&config, "data"), "default");
}

#[test]
fn lists_are_written_as_lists() {
    let (_folder, given) = file("retry_schedule = [1, '2m', 0x10]\nallow_cidr = ['10.0.0.0/8', '::1/128']\n");
    let config = Config::read(&given).unwrap();
    assert_eq!(config.retry_policy, RetryPolicy::Delays(vec![1, 120, 16]));
    assert_eq!(config.allow_cidr.len(), 2);
    let (_folder, given) = file("retry_schedule = []\n");
    assert_eq!(Config::read(&given).unwrap().retry_policy, RetryPolicy::Delays(vec![]));
}

#[test]
fn the_file_in_the_data_folder_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("postrider.toml"), "worker_threads = 3").unwrap();
    let config = Config::read(&given(&[], &[("data", folder.path().to_str().unwrap())])).unwrap();
    assert_eq!(config.worker_threads, 3);
}

#[test]
fn unknown_settings_are_refused_with_their_line() {
    let error = layers::parse(Path::new("p.toml"), "data = 'x'\n# note\nlisen = 'y'\n").unwrap_err();
    assert_eq!(error.to_string(), "p.toml:3: there is no setting `lisen`; `postrider config` lists them");
    let error = layers::parse(Path::new("p.toml"), "data = 'x'\nlisten = \n").unwrap_err();
    assert!(error.to_string().starts_with("p.toml:2: not TOML"), "{error}");
    let missing = Given { file: Some("/nowhere/p.toml".into()), ..Given::default() };
    assert!(matches!(Config::read(&missing), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn bad_values_name_setting_rule_and_place() {
    let error = Config::read(&given(&[("POSTRIDER_RETENTION", "soon")], &[])).unwrap_err().to_string();
    assert_eq!(error, "retention is `soon`, but must be a duration from 1h to 3650d, as 90d (from: POSTRIDER_RETENTION)");
    for (name, value) in [
        ("listen", "8071"),
        ("listen", "::1:80"),
        ("listen", "localhost:70000"),
        ("allow_cidr", "10.0.0.0/40"),
        ("store", "mysql://localhost/x"),
        ("max_payload", "65MiB"),
        ("attempt_timeout", "0s"),
        ("attempt_timeout", "1h"),
        ("retry_schedule", "31d"),
        ("retry_schedule", "100ms"),
        ("worker_threads", "-1"),
        ("log", "postrider=loud"),
        ("log_format", "xml"),
        ("public_url", "example.com"),
        ("data", ""),
    ] {
        let error = Config::read(&given(&[], &[(name, value)])).unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains("must be") && error.contains("--"), "{error}");
    }
    let (_folder, given) = file("data = 1.5\n");
    assert!(Config::read(&given).unwrap_err().to_string().contains("some.toml:1"));
}

#[test]
fn secrets_are_not_shown() {
    let config = Config::read(&given(&[("POSTRIDER_ADMIN_KEY", "sesame-sesame-sesame")], &[])).unwrap();
    assert_eq!(config.admin_key.as_ref().unwrap().as_str(), "sesame-sesame-sesame");
    assert!(!format!("{config:?}").contains("sesame"));
    let error = Config::read(&given(&[("POSTRIDER_ADMIN_KEY", "sesame")], &[])).unwrap_err().to_string();
    assert!(error.starts_with("admin_key must be 16") && !error.contains("sesame"), "{error}");
}

#[test]
fn strays_are_noticed_and_empty_variables_are_not_set() {
    let config = Config::read(&given(&[("POSTRIDER_LISEN", "x"), ("POSTRIDER_KEY", "pr_x"), ("POSTRIDER_LOG", "")], &[])).unwrap();
    assert_eq!(config.strays, ["POSTRIDER_LISEN"]);
    assert_eq!(config.log, "info");
}
