//! Kind of device and browser, of what a client says that it is: `phone, Chromium 140`.

const DEVICES: &[&str] = &["phone", "tablet", "desktop", "computer", "tv"];
const BROWSERS: &[(&str, &str)] = &[
    ("edg", "Edge"),
    ("firefox", "Firefox"),
    ("fxios", "Firefox"),
    ("opr", "Opera"),
    ("opera", "Opera"),
    ("samsung", "Samsung"),
    ("chrom", "Chromium"),
    ("crios", "Chromium"),
    ("safari", "Safari"),
    ("webkit", "Safari"),
];

/// Device class and browser, each one of few words.
pub fn describe(client: &str) -> (&'static str, &'static str) {
    let lower = client.to_ascii_lowercase();
    let device = DEVICES.iter().find(|word| lower.contains(**word)).copied();
    let device = match device {
        Some("computer") => "desktop",
        Some(device) => device,
        None => super::words::OTHER,
    };
    let browser = BROWSERS.iter().find(|(part, _)| lower.contains(part));
    (device, browser.map_or(super::words::OTHER, |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_one_of_few_kinds() {
        for (client, expected) in [
            ("phone, Chromium 140", ("phone", "Chromium")),
            ("computer, Firefox 140", ("desktop", "Firefox")),
            ("desktop, Edge 140 (Chromium)", ("desktop", "Edge")),
            ("tablet, Safari 19", ("tablet", "Safari")),
            ("", ("other", "other")),
            ("\u{130}nsane", ("other", "other")),
        ] {
            assert_eq!(describe(client), expected, "{client}");
        }
    }
}
