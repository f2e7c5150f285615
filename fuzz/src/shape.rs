//! How a fuzzer's bytes become a request: a line for the method and the URL, lines of headers, an empty line, the body.

use postrider_signature::Request;

/// Calls `with` with the request, unless the bytes are not one.
pub fn request(data: &[u8], with: impl FnOnce(&Request<'_>)) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &data[..0]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some(Ok(first)) = lines.next().map(std::str::from_utf8) else { return };
    let (method, url) = first.split_once(' ').unwrap_or(("POST", first));
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
        })
        .collect();
    with(&Request { method, url, headers: &headers, body });
}
