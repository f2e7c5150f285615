//! `postrider config`: what is in force, and where each value came from.

use super::{say, settings::SettingArgs};

/// Flags of `postrider config`: those of `serve`, to see what they would change.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    settings: SettingArgs,
}

/// Prints one line a setting: name, value, source. Secrets are masked.
pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = args.settings.read()?;
    let shown = |value: &str| if value.is_empty() { "-".to_owned() } else { value.to_owned() };
    let width = config.in_force.iter().map(|setting| shown(&setting.value).chars().count()).max().unwrap_or(0);
    for setting in &config.in_force {
        say(&format!("{:<16}  {:<width$}  {}", setting.name, shown(&setting.value), setting.source));
    }
    Ok(())
}
