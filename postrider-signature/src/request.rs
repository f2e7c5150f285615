//! What came in, as the wire had it: everything that a signature may cover.

/// A request to be judged, or signed. Borrowed throughout; nothing is normalised.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, in upper case.
    pub method: &'a str,
    /// The absolute URL that the sender called, as it called it: scheme, host, path and query. Behind a proxy this is the
    /// public URL.
    pub url: &'a str,
    /// Headers in the order in which they came; names in any case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}
