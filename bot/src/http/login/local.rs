//! Owns the question whether an address leads to a page of ours.
//! Refuses tricks that browsers read as a host.

/// Where somebody lands who wanted nothing in particular.
pub(super) const HOME: &str = "/";

/// `next` if it is a path of this server below its prefix: one slash and no trick that browsers read as a host.
pub(super) fn path(next: Option<&str>) -> Option<&str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    next.filter(|next| next.starts_with('/') && !next.starts_with("//") && next.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for elsewhere in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "",
            "/a\nb",
            "/\t/x",
        ] {
            assert_eq!(path(Some(elsewhere)), None, "{elsewhere:?}");
        }
        assert_eq!(path(Some("/r/auth-17?tab=log")), Some("/r/auth-17?tab=log"));
    }
}
