//! Any bytes as what a proxy says, by CONNECT and by SOCKS 5, with a user name and without.

use postrider::{
    model::{Hidden, OutgoingProxy, ResolvedBy},
    outbound::opens_tunnel,
};

pub fn run(data: &[u8]) {
    let Some((choice, said)) = data.split_first() else { return };
    let url = if choice & 1 == 0 { "http://proxy.test" } else { "socks5://proxy.test" };
    let user = (choice & 2 == 2).then(|| "ann".to_owned());
    let password = user.is_some().then(|| Hidden("password".to_owned()));
    let proxy = OutgoingProxy { url: url.into(), username: user, password, resolved_by: ResolvedBy::Us };
    if opens_tunnel(&proxy, said) {
        let start: &[u8] = if choice & 1 == 0 { b"HTTP/1." } else { &[5] };
        assert!(said.trim_ascii_start().starts_with(start));
    }
}
