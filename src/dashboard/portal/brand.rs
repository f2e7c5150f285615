//! How the portal looks as the operator's own: name, logo, colours, and who may put it into a frame. Colours are corrected
//! until text in them is legible (WCAG 2.2 AA), in light and in dark.

use super::{super::Dashboard, page::PREFIX};
use crate::{
    crypto::short_fingerprint,
    model::{Address, AppId, Color, Logo, OrgId, OwnBranding, Record},
};
use std::{fmt::Write as _, sync::Arc};

/// Contrast of text at least (WCAG 2.2, 1.4.3).
const LEGIBLE: f64 = 4.5;
/// Backgrounds on which the accent stands, from `assets/dashboard.css`.
const LIGHT_GROUNDS: [Color; 4] =
    [Color(0xff, 0xff, 0xff), Color(0xfa, 0xf9, 0xf7), Color(0xf1, 0xed, 0xe7), Color(0xf4, 0xf1, 0xec)];
/// The same in the dark.
const DARK_GROUNDS: [Color; 4] =
    [Color(0x15, 0x14, 0x13), Color(0x1d, 0x1c, 0x1a), Color(0x29, 0x27, 0x24), Color(0x27, 0x25, 0x22)];
const WHITE: Color = Color(0xff, 0xff, 0xff);
const BLACK: Color = Color(0, 0, 0);
/// Steps in which a colour is moved towards black or white.
const STEPS: u16 = 64;

impl Color {
    /// Relative luminance, as WCAG defines it.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Contrast ratio, from 1 to 21.
    fn contrast(self, other: Color) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// So many [`STEPS`] of the way to another colour.
    fn towards(self, other: Color, step: u16) -> Color {
        let mix = |from: u8, to: u8| {
            let mixed = (u16::from(from) * (STEPS - step) + u16::from(to) * step) / STEPS;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Color(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// The nearest to it, on the way to black or white, that is legible on all grounds.
    fn legible_on(self, grounds: &[Color], end: Color) -> Color {
        let legible = |color: &Color| grounds.iter().all(|ground| color.contrast(*ground) >= LEGIBLE);
        (0..=STEPS).map(|step| self.towards(end, step)).find(legible).unwrap_or(end)
    }

    /// Black or white, whichever is better to read on it: one of them always has a contrast of more than 4.5.
    fn text_on(self) -> Color {
        if self.contrast(WHITE) >= self.contrast(BLACK) { WHITE } else { BLACK }
    }
}

/// What the operator says of the portal.
#[derive(Clone, Debug, Default)]
pub struct Branding {
    /// The operator's name; empty: nobody's.
    pub name: String,
    /// The operator's logo.
    pub logo: Option<Logo>,
    /// The accent, also in the dark unless that has its own.
    pub color: Option<Color>,
    /// The accent in the dark.
    pub dark_color: Option<Color>,
    /// Origins whose pages may put the portal into a frame: `https://app.example.com`.
    pub origins: Vec<String>,
}

/// The portal's look, made once.
#[derive(Debug)]
pub(in crate::dashboard) struct Brand {
    /// The operator's name.
    pub(super) name: String,
    /// The operator's logo.
    pub(super) logo: Option<Logo>,
    /// Where the logo is.
    pub(super) logo_path: String,
    /// The style that sets the colours; empty: none.
    pub(super) style: String,
    /// Where that is.
    pub(super) style_path: String,
    /// Who may put it into a frame, as the header says it.
    pub(super) ancestors: String,
}

impl Brand {
    /// Of what was said; its files are below `at`.
    fn new(branding: Branding, at: &str) -> Self {
        let style = style(branding.color, branding.dark_color.or(branding.color));
        let part = |bytes: &[u8]| short_fingerprint(bytes).chars().take(12).collect::<String>();
        let ancestors = if branding.origins.is_empty() { "'none'".to_owned() } else { branding.origins.join(" ") };
        let named = |name: String| format!("{at}/brand/{name}");
        Brand {
            logo_path: branding.logo.as_ref().map(|logo| named(format!("logo-{}", part(&logo.bytes)))).unwrap_or_default(),
            style_path: if style.is_empty() { String::new() } else { named(format!("colors-{}.css", part(style.as_bytes()))) },
            name: branding.name,
            logo: branding.logo,
            style,
            ancestors,
        }
    }

    /// As the server's configuration says.
    pub(in crate::dashboard) fn of_server(branding: Branding) -> Self {
        Brand::new(branding, PREFIX)
    }

    /// As the application's organization says, and where it says nothing, the server's configuration.
    pub(super) async fn of_app(dashboard: &Dashboard, app: &str) -> Arc<Self> {
        let app = app.parse::<AppId>().ok().and_then(|app| dashboard.api.engine.routing.by_id(app));
        let Some(app) = app else { return dashboard.brand.clone() };
        match own_branding(dashboard, app.application.org).await {
            Some(own) => Arc::new(Brand::new(merged(own, &dashboard.branding), &format!("{PREFIX}/{}", app.application.id))),
            None => dashboard.brand.clone(),
        }
    }
}

/// What an organization says of its portal. A store that does not answer leaves it as the server's.
pub(in crate::dashboard) async fn own_branding(dashboard: &Dashboard, org: OrgId) -> Option<OwnBranding> {
    let engine = &dashboard.api.engine;
    let found = engine.store.find(&Address::branding(org), engine.clock.now()).await;
    let found = found.inspect_err(|error| tracing::warn!(%error, "an organization's branding cannot be read")).ok()??;
    match found.record {
        Record::Branding(own) => Some(*own),
        _ => None,
    }
}

fn merged(own: OwnBranding, server: &Branding) -> Branding {
    // One accent goes with the other: the server's dark one would be another brand's.
    let colors = match (own.color, own.dark_color) {
        (None, None) => (server.color, server.dark_color),
        own => own,
    };
    Branding {
        name: own.name.unwrap_or_else(|| server.name.clone()),
        logo: own.logo.or_else(|| server.logo.clone()),
        color: colors.0,
        dark_color: colors.1,
        origins: own.origins.unwrap_or_else(|| server.origins.clone()),
    }
}

/// How an accent is shown: itself, text on it, and what it stands on.
#[derive(Debug)]
pub(in crate::dashboard) struct Shades {
    /// The accent, corrected.
    pub(in crate::dashboard) accent: String,
    /// Text on it.
    pub(in crate::dashboard) text: String,
    /// What it stands on.
    pub(in crate::dashboard) ground: String,
}

/// How chosen accents are shown, in light and in the dark.
pub(in crate::dashboard) fn shades(color: Option<&str>, dark: Option<&str>) -> Vec<(&'static str, Shades)> {
    let (light, dark) = (color.and_then(Color::read), dark.or(color).and_then(Color::read));
    let shade = |color: Color, grounds: &[Color], end: Color| {
        let accent = color.legible_on(grounds, end);
        let ground = grounds.first().copied().unwrap_or(end).css();
        Shades { accent: accent.css(), text: accent.text_on().css(), ground }
    };
    let light = light.map(|color| ("Light", shade(color, &LIGHT_GROUNDS, BLACK)));
    let dark = dark.map(|color| ("Dark", shade(color, &DARK_GROUNDS, WHITE)));
    light.into_iter().chain(dark).collect()
}

/// Custom properties of the accent, as the dashboard's style names them.
fn style(light: Option<Color>, dark: Option<Color>) -> String {
    let (Some(light), Some(dark)) = (light, dark) else {
        return dark.map(|dark| in_the_dark(dark.legible_on(&DARK_GROUNDS, WHITE))).unwrap_or_default();
    };
    let light = light.legible_on(&LIGHT_GROUNDS, BLACK);
    let mut style = format!(":root{{--accent:{};--on-accent:{}}}\n", light.css(), light.text_on().css());
    let _infallible = style.write_str(&in_the_dark(dark.legible_on(&DARK_GROUNDS, WHITE)));
    style
}

fn in_the_dark(color: Color) -> String {
    let rule = format!("{{--accent:{};--on-accent:{}}}", color.css(), color.text_on().css());
    format!("@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){rule}}}\n:root[data-theme=dark]{rule}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_measured_as_wcag_does() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 0.01);
        assert!((Color(0x77, 0x77, 0x77).contrast(WHITE) - 4.48).abs() < 0.01);
    }

    #[test]
    fn every_color_becomes_legible_and_good_ones_stay() {
        let channels = [0, 0x33, 0x80, 0xcc, 0xff];
        let all = channels.into_iter().flat_map(|r| channels.into_iter().flat_map(move |g| channels.map(|b| Color(r, g, b))));
        for color in all {
            for (grounds, end) in [(LIGHT_GROUNDS, BLACK), (DARK_GROUNDS, WHITE)] {
                let made = color.legible_on(&grounds, end);
                assert!(grounds.iter().all(|ground| made.contrast(*ground) >= LEGIBLE), "{color:?}: {made:?}");
                assert!(made.contrast(made.text_on()) >= LEGIBLE, "{color:?}");
            }
        }
        let navy = Color(0x10, 0x20, 0x60);
        assert_eq!(navy.legible_on(&LIGHT_GROUNDS, BLACK), navy);
    }

    #[test]
    fn the_grounds_are_those_of_the_style() {
        let style = include_str!("../assets/dashboard.css");
        for ground in LIGHT_GROUNDS.iter().chain(&DARK_GROUNDS) {
            let named = ground.css();
            let short: String = named.chars().step_by(2).collect();
            assert!(style.contains(&named) || (*ground == WHITE && style.contains(&short)), "{named}");
        }
    }

    #[test]
    fn a_style_has_both_themes_or_nothing() {
        assert_eq!(style(None, None), "");
        let both = style(Some(Color(0, 0x55, 0xff)), Some(Color(0, 0x55, 0xff)));
        assert!(both.starts_with(":root{--accent:#0055ff;--on-accent:#ffffff}") && both.contains("[data-theme=dark]{--accent:#"));
        assert!(style(None, Some(Color(0, 0x55, 0xff))).starts_with("@media"));
    }

    #[test]
    fn an_organization_says_what_it_wants_and_the_server_the_rest() {
        let server = Branding {
            name: "Server".into(),
            dark_color: Some(WHITE),
            origins: vec!["https://a.example".into()],
            ..Branding::default()
        };
        let own = OwnBranding::new(OrgId(1), crate::model::Time(0));
        let none = merged(own.clone(), &server);
        assert_eq!((none.name.as_str(), none.dark_color, none.origins.len()), ("Server", Some(WHITE), 1));
        let own = OwnBranding { name: Some("Own".into()), color: Some(BLACK), origins: Some(Vec::new()), ..own };
        let all = Brand::new(merged(own, &server), "/portal/app_1");
        assert_eq!((all.name.as_str(), all.ancestors.as_str()), ("Own", "'none'"));
        assert!(all.style_path.starts_with("/portal/app_1/brand/colors-") && all.logo_path.is_empty());
    }

    #[test]
    fn shades_are_legible() {
        let shown = shades(Some("#ffff00"), None);
        assert_eq!(shown.len(), 2);
        assert!(shown[0].1.accent != "#ffff00" && shown[1].1.accent == "#ffff00");
        assert!(shades(None, None).is_empty() && shades(None, Some("#ffffff")).len() == 1);
    }
}
