//! The documents of `tests/wire`: reading them, and comparing what they expect with what came. See `README.md` beside this file.

/// One request and what is expected of its answer.
#[derive(Debug, Default, PartialEq)]
pub struct Exchange {
    /// Where it stands, from 1.
    pub line: usize,
    /// The heading above it.
    pub sentence: String,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub is_form: bool,
    /// Status and body.
    pub expected: String,
    /// Headers expected in the answer.
    pub answers: Vec<(String, String)>,
}

impl Exchange {
    /// The request as a person reads it.
    pub fn request(&self) -> String {
        let text: String = format!("{} {}", self.method, self.path).chars().take(300).collect();
        self.body.as_ref().map_or(text.clone(), |body| format!("{text} with {}", body.chars().take(300).collect::<String>()))
    }
}

/// All exchanges of a document, or `line: what is wrong with it`.
pub fn parse(text: &str) -> Result<Vec<Exchange>, String> {
    let (mut exchanges, mut sentence): (Vec<Exchange>, String) = Default::default();
    let mut may_add = false;
    for (at, line) in text.lines().enumerate() {
        let line_no = at + 1;
        let fault = |what: &str| format!("{line_no}: {what}: {line}");
        if let Some(heading) = line.strip_prefix("## ") {
            sentence = heading.to_string();
        } else if let Some((request, expected)) = line.split_once(" ⇒ ").filter(|_| line.starts_with('`')) {
            let request = quoted(request).ok_or_else(|| fault("the request is not in backticks"))?;
            let expected = quoted(expected).ok_or_else(|| fault("the answer is not in backticks"))?;
            let (method, path) = request.split_once(' ').ok_or_else(|| fault("expected METHOD /path"))?;
            let (method, path, expected) = (method.to_string(), expand(path)?, expected.to_string());
            exchanges.push(Exchange { line: line_no, sentence: sentence.clone(), method, path, expected, ..Exchange::default() });
            may_add = true;
            continue;
        } else if let Some(item) = line.strip_prefix("- ") {
            let exchange = exchanges.last_mut().filter(|_| may_add).ok_or_else(|| fault("belongs to no request"))?;
            add(exchange, item).map_err(|what| fault(&what))?;
            continue;
        } else if line.starts_with('`') {
            return Err(fault("expected `METHOD /path` ⇒ `status body`"));
        }
        may_add = false;
    }
    Ok(exchanges)
}

fn add(exchange: &mut Exchange, item: &str) -> Result<(), String> {
    let (kind, text) = item.split_once(' ').ok_or("expected header, form, body or answers")?;
    let text = expand(quoted(text).ok_or("not in backticks")?)?;
    let header = || text.split_once(": ").map(|(name, value)| (name.to_string(), value.to_string())).ok_or("expected Name: value");
    match kind {
        "header" => exchange.headers.push(header()?),
        "answers" => exchange.answers.push(header()?),
        "form" => (exchange.body, exchange.is_form) = (Some(text), true),
        "body" => exchange.body = Some(text),
        _ => return Err("expected header, form, body or answers".to_string()),
    }
    Ok(())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('`')?.strip_suffix('`')
}

/// `«ab×3»` becomes `ababab`.
fn expand(text: &str) -> Result<String, String> {
    let Some((before, rest)) = text.split_once('«') else { return Ok(text.to_string()) };
    let repeated = rest.split_once('»').and_then(|(inner, after)| {
        let (piece, times) = inner.split_once('×')?;
        Some((piece.repeat(times.parse().ok()?), after))
    });
    let (repeated, after) = repeated.ok_or("expected «text×times»")?;
    Ok([before, &repeated, &expand(after)?].concat())
}

/// Whether `got` is `expected`, where `…` stands for anything.
pub fn fits(expected: &str, got: &str) -> bool {
    let mut pieces = expected.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| got.strip_prefix(first)) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read() {
        let text =
            "# Title\n\nWords.\n## It works\n`PUT /a?b=«xy×2»` ⇒ `200 ok`\n- header `User-Agent: x`\n- form `c=d`\n- answers `A: b`\n";
        let exchange = Exchange {
            line: 5,
            sentence: "It works".to_string(),
            method: "PUT".to_string(),
            path: "/a?b=xyxy".to_string(),
            headers: vec![("User-Agent".to_string(), "x".to_string())],
            body: Some("c=d".to_string()),
            is_form: true,
            expected: "200 ok".to_string(),
            answers: vec![("A".to_string(), "b".to_string())],
        };
        assert_eq!(parse(text), Ok(vec![exchange]));
    }

    #[test]
    fn what_cannot_be_read_is_not_skipped() {
        for bad in [
            "`GET /a` => `200`",
            "`GET /a` ⇒ 200",
            "- header `a: b`",
            "`GET /a` ⇒ `200`\n\n- form `a`",
            "`GET /a` ⇒ `200`\n- fom `a`",
            "`GET /«a»` ⇒ `1`",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dots_stand_for_anything() {
        for (expected, got) in [("a", "a"), ("a…", "a"), ("a…", "abc"), ("…c", "abc"), ("a…c…", "abcd"), ("…", "")] {
            assert!(fits(expected, got), "{expected} {got}");
        }
        for (expected, got) in [("a", "ab"), ("a…", "b"), ("a…c", "acd"), ("a…b…b", "ab"), ("ab…b", "ab")] {
            assert!(!fits(expected, got), "{expected} {got}");
        }
    }
}
