//! What is read of a page and of an HTTP answer: as little as a measurement needs.

/// Objects of a page that are fetched.
pub const MOST_OBJECTS: usize = 110;

/// The status of an answer, from its head.
pub fn status(head: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(head);
    let mut words = text.lines().next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

/// Paths of what a page shows from its own host: `src` of anything, `href` of `link`. A search, no parser of HTML: what a browser would find
/// by running scripts is not found.
pub fn objects(html: &str, page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name =
            tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_ascii_lowercase();
        let attribute = match name.as_str() {
            "img" | "script" | "iframe" | "source" | "audio" | "video" | "embed" => "src",
            "link" => "href",
            _ => continue,
        };
        let value = |quote: char| {
            let (_, rest) = tag.split_once(&format!("{attribute}={quote}"))?;
            rest.split_once(quote).map(|(value, _)| value)
        };
        let Some(value) = value('"').or_else(|| value('\'')) else { continue };
        let value = value.split('#').next().unwrap_or_default();
        let path = match value {
            "" => continue,
            other if other.contains(':') || other.starts_with("//") => continue,
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => {
                let folder = page.split('?').next().unwrap_or_default();
                format!("{}/{relative}", folder.rsplit_once('/').map_or("", |(folder, _)| folder))
            }
        };
        if path.bytes().all(|octet| octet.is_ascii_graphic())
            && !found.contains(&path)
            && found.len() < MOST_OBJECTS
        {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_a_page_is_found() {
        let html = "<html><img alt='' src=\"/a.png\"><IMG src='b.png'><script src=\"//cdn.example/x.js\"></script>\
                    <link rel=\"stylesheet\" href=\"s.css?v=1#x\"><a href=\"/other\">x</a><img src=\"/a.png\"><img src=\"data:x\">";
        assert_eq!(objects(html, "/dir/page?x=/y"), ["/a.png", "/dir/b.png", "/dir/s.css?v=1"]);
        assert!(objects("<<<<img src=\"", "/").is_empty());
        let many = (0..1000).fold(String::new(), |html, n| html + &format!("<img src=\"/{n}\">"));
        assert_eq!(objects(&many, "/").len(), MOST_OBJECTS);
    }

    #[test]
    fn a_status_is_that_of_http() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/2 200\r\n"), None);
        assert_eq!((status(b""), status(b"HTTP/1.1 x")), (None, None));
    }
}
