use super::*;

fn console(files: &[(&str, &str)]) -> Console {
    let file =
        |(path, text): &(&str, &str)| ((*path).to_owned(), Bytes::copy_from_slice(text.as_bytes()));
    Console::new(files.iter().map(file)).unwrap()
}

const PAGE: &str = "<link href=\"console/app/main.css\"><!-- importmap -->\
    <script type=\"module\" src=\"console/app/main.js\"></script>";

fn text(console: &Console) -> String {
    String::from_utf8(console.index.bytes.to_vec()).unwrap()
}

#[test]
fn the_page_names_each_file_by_its_hash() {
    let console = console(&[
        ("index.html", PAGE),
        (
            "imports.json",
            "{\"ui\": \"vendor/ui.js\", \"gone\": \"vendor/gone.js\"}",
        ),
        ("app/main.css", "body {}"),
        ("app/main.js", "import \"ui\""),
        ("vendor/ui.js", "export {}"),
    ]);
    let hash = |path| console.find(path).unwrap().hash.clone();
    let (css, main, ui) = (
        hash("app/main.css"),
        hash("app/main.js"),
        hash("vendor/ui.js"),
    );
    let map = format!(
        "{{\"imports\":{{\"./console/app/main.css\":\"./console/app/main.css?h={css}\",\
         \"./console/app/main.js\":\"./console/app/main.js?h={main}\",\
         \"./console/vendor/ui.js\":\"./console/vendor/ui.js?h={ui}\",\
         \"ui\":\"./console/vendor/ui.js?h={ui}\"}}}}"
    );
    let want = format!(
        "<link href=\"console/app/main.css?h={css}\"><script type=\"importmap\">{map}</script>\
         <script type=\"module\" src=\"console/app/main.js?h={main}\"></script>"
    );
    assert_eq!(text(&console), want);
}

#[test]
fn another_file_makes_another_page_and_another_policy() {
    let make = |script| console(&[("index.html", PAGE), ("app/main.js", script)]);
    let (one, same, other) = (make("1"), make("1"), make("2"));
    assert_eq!(one.index.hash, same.index.hash);
    assert_ne!(one.index.hash, other.index.hash);
    assert_ne!(one.policy, other.policy);
    assert!(!one.policy.contains("unsafe"));
}

#[test]
fn no_name_of_a_file_ends_the_import_map() {
    let console = console(&[("index.html", PAGE), ("app/</script>.js", "")]);
    assert_eq!(text(&console).matches("</script>").count(), 2);
}

#[test]
fn what_is_packed_is_what_is_there() {
    let long = "function main() { return 1; }\n".repeat(100);
    let console = console(&[
        ("index.html", PAGE),
        ("app/main.js", &long),
        ("short.js", "1"),
    ]);
    let packed = console.find("app/main.js").unwrap().packed().unwrap();
    assert!(packed.len() < 200, "{}", packed.len());
    let inside = &packed[10..packed.len() - 8];
    let unpacked = miniz_oxide::inflate::decompress_to_vec(inside).unwrap();
    assert_eq!(unpacked, long.as_bytes());
    let tail = &packed[packed.len() - 8..];
    assert_eq!(tail[..4], crc32fast::hash(long.as_bytes()).to_le_bytes());
    assert_eq!(tail[4..], 3000_u32.to_le_bytes());
    assert!(console.find("short.js").unwrap().packed().is_none());
}

#[test]
fn without_a_page_there_is_no_console() {
    assert!(Console::new([("app/main.js".to_owned(), Bytes::new())]).is_none());
}
