//! Subtitles as browsers read them: WebVTT, whatever they were stored as.

/// The most bytes that are converted: subtitles of a long film have a tenth of it.
pub(super) const MOST_BYTES: u64 = 4 << 20;

/// What browsers call it.
pub(super) const MEDIA_TYPE: &str = "text/vtt; charset=utf-8";

/// Makes WebVTT of SubRip, or of what is WebVTT already, in UTF-8, UTF-16 or Windows-1252.
pub(super) fn as_vtt(bytes: &[u8]) -> String {
    let text = text_of(bytes).replace("\r\n", "\n").replace('\r', "\n");
    if text.starts_with("WEBVTT") {
        return text;
    }
    let mut vtt = String::from("WEBVTT\n\n");
    for line in text.lines() {
        match timing(line) {
            Some(timing) => vtt.push_str(&timing),
            // Where it is no time it would end the text that it stands in.
            None => vtt.push_str(&line.replace("-->", "->")),
        }
        vtt.push('\n');
    }
    vtt
}

/// The text, in whatever it is encoded, as far as that can be told.
fn text_of(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2);
        let units = units.map(|two| {
            unit([
                two.first().copied().unwrap_or(0),
                two.get(1).copied().unwrap_or(0),
            ])
        });
        char::decode_utf16(units)
            .map(|it| it.unwrap_or('\u{fffd}'))
            .collect::<String>()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return wide(rest, u16::from_be_bytes),
        // A number and a line break in two bytes each.
        [first, 0, _, 0, ..] if *first != 0 => return wide(bytes, u16::from_le_bytes),
        [0, first, 0, _, ..] if *first != 0 => return wide(bytes, u16::from_be_bytes),
        _ => {}
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
    }
}

/// A line with the two times of a text, as WebVTT writes it. What SubRip says of places is left out.
fn timing(line: &str) -> Option<String> {
    let (from, to) = line.split_once("-->")?;
    let to = to.split_whitespace().next()?;
    Some(format!("{} --> {}", time(from)?, time(to)?))
}

fn time(text: &str) -> Option<String> {
    let text = text.trim().replace(',', ".");
    let (clock, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let mut parts = Vec::new();
    for part in clock.split(':') {
        parts.push(part.trim().parse::<u32>().ok()?);
    }
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes, seconds] => (hours, minutes, seconds),
        [minutes, seconds] => (0, minutes, seconds),
        _ => return None,
    };
    let is_number = !fraction.is_empty() && fraction.bytes().all(|it| it.is_ascii_digit());
    if minutes > 59 || seconds > 59 || hours > 9999 || !is_number {
        return None;
    }
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(format!("{hours:02}:{minutes:02}:{seconds:02}.{millis}"))
}

fn windows_1252(byte: u8) -> char {
    /// 0x80 to 0x9f; everything else is as in Latin-1.
    const OWN: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    let own = usize::from(byte)
        .checked_sub(0x80)
        .and_then(|at| OWN.get(at));
    own.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRT: &str = "1\r\n00:00:01,5 --> 0:00:02,750 X1:10\r\nGrüße <i>alle</i>\r\n\r\n2\r\n01:02,003 --> 01:03,004\r\nthis --> that\r\n";
    const VTT: &str = "WEBVTT\n\n1\n00:00:01.500 --> 00:00:02.750\nGrüße <i>alle</i>\n\n2\n\
        00:01:02.003 --> 00:01:03.004\nthis -> that\n";

    fn wide(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_encoding_of_the_same_subtitles_is_the_same() {
        let latin: Vec<u8> = SRT.chars().map(|letter| letter as u8).collect();
        let marked = [&[0xef, 0xbb, 0xbf][..], SRT.as_bytes()].concat();
        let little = [&[0xff, 0xfe][..], &wide(SRT, u16::to_le_bytes)].concat();
        let big = [&[0xfe, 0xff][..], &wide(SRT, u16::to_be_bytes)].concat();
        for bytes in [
            SRT.as_bytes(),
            &latin,
            &marked,
            &little,
            &big,
            &wide(SRT, u16::to_le_bytes),
            &wide(SRT, u16::to_be_bytes),
        ] {
            assert_eq!(as_vtt(bytes), VTT);
        }
        assert_eq!(as_vtt(b"\x93a\x94 \x80"), "WEBVTT\n\n“a” €\n");
    }

    #[test]
    fn what_is_webvtt_stays_and_anything_else_harms_nobody() {
        assert_eq!(as_vtt(b"WEBVTT\r\n\r\nNOTE x"), "WEBVTT\n\nNOTE x");
        for odd in [
            &b""[..],
            b"\0",
            b"\xff\xfe\0",
            b"-->",
            b"1:2:3:4 --> 5",
            b"99:99:99,9 --> 1",
        ] {
            assert!(as_vtt(odd).starts_with("WEBVTT\n\n"));
        }
    }
}
