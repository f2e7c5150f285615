//! Branding: how the customers' portal looks as the operator's own, said by the server's configuration or by an organization.

use super::{OrgId, Time};
use serde::{Deserialize, Serialize};

/// Characters of the operator's name at most.
pub const MAX_BRAND_NAME: usize = 60;
/// Origins that may frame the portal, at most: all of them are named in a header of every page.
pub const MAX_ORIGINS: usize = 20;
/// The largest logo of the configuration, in bytes.
const MAX_LOGO_BYTES: usize = 256 << 10;
/// The largest logo that an organization uploads, in bytes: it is kept in a record.
const MAX_UPLOAD_BYTES: usize = 64 << 10;
/// The widest and the highest picture that is uploaded, in pixels: a small file may stand for one that fills a memory.
const MAX_PIXELS: u32 = 2048;

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// Reads `#rrggbb`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|text| text.len() == 6 && text.bytes().all(|c| c.is_ascii_hexdigit()))?;
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Color(red, green, blue))
    }

    /// As it is written: `#rrggbb`.
    #[must_use]
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Bytes of an origin's host (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Reads an origin: scheme, host and port, and nothing behind them. `https://*.example.com` stands for all below it.
#[must_use]
pub fn read_origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let name = host.strip_prefix("*.").unwrap_or(host);
    let plain = |label: &str| {
        let good = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        good && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let number = port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let fits = host.len() <= MAX_HOST && name.split('.').all(plain);
    (matches!(scheme, "http" | "https") && fits && number).then(|| text.clone())
}

/// What a logo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogoKind {
    /// PNG
    Png,
    /// JPEG
    Jpeg,
    /// WebP
    Webp,
    /// GIF
    Gif,
    /// SVG: by configuration only, since it may hold scripts.
    Svg,
}

impl LogoKind {
    /// Its media type.
    #[must_use]
    pub fn media(self) -> &'static str {
        match self {
            LogoKind::Png => "image/png",
            LogoKind::Jpeg => "image/jpeg",
            LogoKind::Webp => "image/webp",
            LogoKind::Gif => "image/gif",
            LogoKind::Svg => "image/svg+xml",
        }
    }

    /// Told by the first bytes, never by what somebody calls it.
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = || std::str::from_utf8(bytes).unwrap_or_default().trim_start_matches('\u{feff}').trim_start();
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(LogoKind::Png),
            [0xff, 0xd8, 0xff, ..] => Some(LogoKind::Jpeg),
            [b'G', b'I', b'F', b'8', ..] => Some(LogoKind::Gif),
            _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some(LogoKind::Webp),
            _ if ["<?xml", "<svg", "<!--"].iter().any(|start| text().starts_with(start)) && text().contains("<svg") => {
                Some(LogoKind::Svg)
            }
            _ => None,
        }
    }
}

/// A logo, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// What it is.
    pub kind: LogoKind,
    /// The file.
    #[serde(with = "in_base64")]
    pub bytes: Vec<u8>,
}

impl Logo {
    /// Reads a logo of the configuration.
    ///
    /// # Errors
    /// It is none of SVG, PNG, JPEG, WebP and GIF, or larger than 256 KiB.
    pub fn read(bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.len() > MAX_LOGO_BYTES {
            return Err("it is larger than 256 KiB");
        }
        let kind = LogoKind::of(&bytes).ok_or("it is neither SVG, PNG, JPEG, WebP nor GIF")?;
        Ok(Logo { kind, bytes })
    }

    /// Reads a logo that an organization uploads.
    ///
    /// # Errors
    /// It is none of PNG, JPEG and WebP, larger than 64 KiB, of more than 2048 pixels a side, or says nothing of its sides.
    pub fn uploaded(bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.len() > MAX_UPLOAD_BYTES {
            return Err("It is larger than 64 KiB.");
        }
        match LogoKind::of(&bytes) {
            Some(kind @ (LogoKind::Png | LogoKind::Jpeg | LogoKind::Webp)) => match sides(kind, &bytes) {
                None => Err("It does not say how wide and how high it is: it is damaged."),
                Some(sides) if sides.iter().all(|pixels| (1..=MAX_PIXELS).contains(pixels)) => Ok(Logo { kind, bytes }),
                Some(_) => Err("It has more than 2048 pixels a side, or none."),
            },
            _ => Err("It is neither PNG, JPEG nor WebP."),
        }
    }
}

/// Bytes as text: a store that keeps JSON keeps four thirds of them, not four times.
mod in_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// How wide and how high a picture says it is.
fn sides(kind: LogoKind, bytes: &[u8]) -> Option<[u32; 2]> {
    match kind {
        LogoKind::Png => Some([u32::from_be_bytes(*chunk(bytes, 16)?), u32::from_be_bytes(*chunk(bytes, 20)?)]),
        LogoKind::Jpeg => jpeg_sides(bytes),
        LogoKind::Webp => webp_sides(bytes),
        LogoKind::Gif | LogoKind::Svg => None,
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// From the frame header of a JPEG, behind the segments that stand before it (ITU-T T.81, B.2.2). Of several frames the largest
/// counts.
fn jpeg_sides(bytes: &[u8]) -> Option<[u32; 2]> {
    let (mut at, mut found) = (2, None::<[u32; 2]>);
    while let Some([0xff, marker]) = chunk::<2>(bytes, at) {
        match marker {
            // A filling byte, and markers without a segment.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            // The picture itself begins, or it ends.
            0xd9 | 0xda => break,
            _ => {
                let length = usize::from(u16::from_be_bytes(*chunk(bytes, at + 2)?));
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    let [high, wide] = [at + 5, at + 7].map(|at| chunk(bytes, at).map(|two| u32::from(u16::from_be_bytes(*two))));
                    let (high, wide) = (high?, wide?);
                    found = Some(found.map_or([wide, high], |[w, h]| [w.max(wide), h.max(high)]));
                }
                at += 2 + length.max(2);
            }
        }
    }
    found
}

/// From the first chunk of a WebP: lossy, lossless or extended (RFC 9649, sections 2.5 to 2.7).
fn webp_sides(bytes: &[u8]) -> Option<[u32; 2]> {
    let three = |at| chunk::<3>(bytes, at).map(|[a, b, c]| u32::from_le_bytes([*a, *b, *c, 0]));
    match chunk::<4>(bytes, 12)? {
        b"VP8X" => Some([three(24)? + 1, three(27)? + 1]),
        b"VP8L" => {
            let [mark, rest @ ..] = chunk::<5>(bytes, 20)?;
            let bits = u32::from_le_bytes(*rest);
            (*mark == 0x2f).then_some([(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1])
        }
        b"VP8 " => {
            let side = |at| chunk(bytes, at).map(|two| u32::from(u16::from_le_bytes(*two)) & 0x3fff);
            let begins = chunk::<3>(bytes, 23)? == &[0x9d, 0x01, 0x2a];
            Some([side(26)?, side(28)?]).filter(|_| begins)
        }
        _ => None,
    }
}

/// What an organization says of its portal. What it does not say, the server's configuration does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnBranding {
    /// Owner.
    pub org: OrgId,
    /// The operator's name.
    pub name: Option<String>,
    /// The accent, also in the dark unless that has its own.
    pub color: Option<Color>,
    /// The accent in the dark.
    pub dark_color: Option<Color>,
    /// Origins whose pages may put the portal into a frame.
    pub origins: Option<Vec<String>>,
    /// The operator's logo.
    pub logo: Option<Logo>,
    /// When it was changed last.
    pub updated_at: Time,
}

impl OwnBranding {
    /// One that says nothing.
    #[must_use]
    pub fn new(org: OrgId, now: Time) -> Self {
        OwnBranding { org, name: None, color: None, dark_color: None, origins: None, logo: None, updated_at: now }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let own = OwnBranding::new(self.org, self.updated_at);
        *self == own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a PNG of so many pixels a side.
    fn png(side: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &side.to_be_bytes(), &side.to_be_bytes()].concat()
    }

    #[test]
    fn logos_are_told_by_their_bytes() {
        let kind = |bytes: &[u8]| Logo::read(bytes.to_vec()).map(|logo| logo.kind);
        assert_eq!(kind(b"\x89PNG\r\n"), Ok(LogoKind::Png));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Ok(LogoKind::Webp));
        assert_eq!(kind(b" <?xml version='1.0'?>\n<svg xmlns='x'/>"), Ok(LogoKind::Svg));
        assert!(kind(b"<html><svg>").is_err() && kind(b"").is_err() && kind(&vec![b' '; MAX_LOGO_BYTES + 1]).is_err());
    }

    #[test]
    fn what_is_uploaded_is_small_and_cannot_run() {
        assert_eq!(Logo::uploaded(png(2048)).unwrap().kind, LogoKind::Png);
        for bad in [png(2049), png(0), b"\x89PNG".to_vec(), b"<svg onload='x'/>".to_vec(), b"GIF89a".to_vec(), Vec::new()] {
            assert!(Logo::uploaded(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(Logo::uploaded(b"\xff\xd8\xff\xe0".to_vec()).unwrap_err().contains("damaged"));
        let large = [b"\xff\xd8\xff".as_slice(), &vec![0; MAX_UPLOAD_BYTES]].concat();
        assert!(Logo::uploaded(large).unwrap_err().contains("64 KiB"));
    }

    /// The first bytes of a JPEG: a segment of an application, a table, and a frame of that kind.
    fn jpeg(marker: u8, wide: u16, high: u16) -> Vec<u8> {
        let frame = [&[0xff, marker, 0, 11, 8], high.to_be_bytes().as_slice(), &wide.to_be_bytes(), &[1, 1, 0x11, 0]].concat();
        [b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc4\0\x03x".as_slice(), &frame, b"\xff\xda\0\x02"].concat()
    }

    /// The first bytes of a WebP with that chunk.
    fn webp(kind: &[u8; 4], chunk: &[u8]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP".as_slice(), kind, &[0; 4], chunk].concat()
    }

    #[test]
    fn every_picture_says_its_sides() {
        let fits = |bytes: Vec<u8>| Logo::uploaded(bytes).map(|logo| logo.kind);
        for marker in [0xc0, 0xc1, 0xc2] {
            assert_eq!(fits(jpeg(marker, 2048, 31)), Ok(LogoKind::Jpeg));
            assert!(
                fits(jpeg(marker, 2049, 31)).is_err()
                    && fits(jpeg(marker, 31, 65_535)).is_err()
                    && fits(jpeg(marker, 0, 1)).is_err()
            );
        }
        let two = [jpeg(0xc0, 8, 8)[..27].to_vec(), jpeg(0xc2, 9_000, 8)[2..].to_vec()].concat();
        assert!(fits(two).is_err(), "the largest frame counts");
        let extended = |side: u32| {
            let [a, b, c, _] = (side - 1).to_le_bytes();
            webp(b"VP8X", &[0, 0, 0, 0, a, b, c, a, b, c])
        };
        let lossless =
            |wide: u32, high: u32| webp(b"VP8L", &[&[0x2f], ((wide - 1) | ((high - 1) << 14)).to_le_bytes().as_slice()].concat());
        let lossy =
            |side: u16| webp(b"VP8 ", &[&[0, 0, 0, 0x9d, 1, 0x2a], side.to_le_bytes().as_slice(), &side.to_le_bytes()].concat());
        assert_eq!(
            (fits(extended(2048)), fits(lossless(2048, 7)), fits(lossy(2048))),
            (Ok(LogoKind::Webp), Ok(LogoKind::Webp), Ok(LogoKind::Webp))
        );
        for bad in
            [extended(2049), extended(1 << 24), lossless(7, 2049), lossy(2049), webp(b"VP8 ", &[0; 10]), webp(b"ALPH", &[0; 20])]
        {
            assert!(fits(bad.clone()).is_err(), "{bad:?}");
        }
        for kind in [jpeg(0xc0, 8, 8), extended(8), lossless(8, 8), lossy(8), png(8)] {
            for end in 0..kind.len() {
                let _no_panic = Logo::uploaded(kind[..end].to_vec());
            }
        }
    }

    #[test]
    fn colors_are_six_digits() {
        assert_eq!(Color::read("#0a1B2c").map(Color::css).as_deref(), Some("#0a1b2c"));
        for bad in ["", "#fff", "0a1b2c", "#0a1b2g", "#+a1b2c", "red", "#0a1b2c;}"] {
            assert_eq!(Color::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn origins_are_a_scheme_and_a_host() {
        let origin = read_origin;
        assert_eq!(origin("https://App.example.com/").as_deref(), Some("https://app.example.com"));
        for good in ["http://localhost:3000", "https://*.example.com", "http://127.0.0.1:1"] {
            assert_eq!(origin(good).as_deref(), Some(good));
        }
        for bad in [
            "*",
            "https://*",
            "app.example.com",
            "https://a b",
            "https://a;script-src *",
            "https://a/b",
            "ftp://a",
            "https://a:x",
            "https://'none'",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
