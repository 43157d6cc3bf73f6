//! Owns the one page that everybody may see.
//! Refuses scripts, and to send anybody elsewhere after it.

use axum::response::Html;

use crate::config::Web;

/// Where somebody lands who wanted nothing in particular.
pub(super) const HOME: &str = "/";

/// The sign-in page. `next` is where the person wanted to go, `trouble` what went wrong before.
pub(super) fn login(web: &Web, next: Option<&str>, trouble: Option<&str>) -> Html<String> {
    let prefix = &web.route_prefix;
    let next = escaped(local(next).unwrap_or(HOME));
    let trouble = trouble.map(|trouble| format!("<p role=\"alert\">{}</p>", escaped(trouble)));
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Sign in - Tidegate</title>\n\
         <link rel=\"stylesheet\" href=\"{prefix}/assets/tidegate.css\">\n\
         <main class=\"login\">\n<h1>Tidegate</h1>\n{}\n\
         <form method=\"post\" action=\"{prefix}/login\">\n\
         <input type=\"hidden\" name=\"next\" value=\"{next}\">\n\
         <label for=\"token\">Token</label>\n\
         <input id=\"token\" name=\"token\" type=\"password\" required autofocus autocomplete=\"current-password\">\n\
         <button>Sign in</button>\n</form>\n\
         <p>No token yet? The first start wrote one to <code>admin.token</code> in the storage directory; with it, \
         <code>tidegate token create</code> makes one for a person.</p>\n</main>\n</html>\n",
        trouble.unwrap_or_default(),
    ))
}

/// `next` if it is a path of this server below its prefix: one slash and no trick that browsers read as a host.
pub(super) fn local(next: Option<&str>) -> Option<&str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    next.filter(|next| next.starts_with('/') && !next.starts_with("//") && next.chars().all(plain))
}

fn escaped(text: &str) -> String {
    handlebars::html_escape(text)
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
            assert_eq!(local(Some(elsewhere)), None, "{elsewhere:?}");
        }
        assert_eq!(local(Some("/r/auth-17?tab=log")), Some("/r/auth-17?tab=log"));
    }

    #[test]
    fn what_was_asked_for_cannot_write_into_the_page() {
        let web = crate::config::Config::defaults().unwrap().web;
        let Html(page) = login(&web, Some("/\"><script>alert(1)</script>"), Some("<b>"));
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }
}
