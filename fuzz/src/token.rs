//! Any bytes as the answer of a token endpoint: what is taken can be sent in a header and comes to an end; what is not has
//! words that a log can show.

use postrider::outbound::decode_token;
use std::time::Duration;

const STATUSES: [u16; 6] = [200, 401, 503, 204, 302, 0];
const DAY: Duration = Duration::from_secs(86_400);

pub fn run(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let status = STATUSES[usize::from(*choice) % STATUSES.len()];
    match decode_token(status, body) {
        Ok((header, lasts)) => {
            assert!((200..300).contains(&status) && header.is_sensitive() && lasts <= DAY);
            let text = header.to_str().unwrap();
            let token = text.strip_prefix("Bearer ").unwrap();
            assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(words) => assert!(words.len() < 200 && words.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{words:?}"),
    }
}
