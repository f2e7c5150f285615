//! Any text as the URL of an endpoint, as an address range, and as an instant: what is understood means the same once it is
//! written out.

use postrider::{
    model::Time,
    outbound::{Cidr, Target, URL_LIMIT},
};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(target) = Target::parse(text) {
        assert!(text.len() <= URL_LIMIT);
        let again = Target::parse(&target.url()).unwrap();
        assert_eq!((again.url(), again.is_https()), (target.url(), target.is_https()));
    }
    if let Ok(range) = text.parse::<Cidr>() {
        assert_eq!(range.to_string().parse::<Cidr>().unwrap().to_string(), range.to_string());
    }
    if let Some(time) = Time::parse(text) {
        assert_eq!(Time::parse(&time.to_string()), Some(time));
    }
}
