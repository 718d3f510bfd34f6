//! Headers and trailers: `wasi:http/types.fields`.
//!
//! Guarantees: names and values are valid, none is forbidden, and the sum of their bytes has a limit;
//! fields that belong to a message do not change.

use super::budget::{Budget, Charge};
use super::error::FieldsError;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Bytes of names and values in one set of fields.
const FIELDS_BYTES_MAX: usize = 128 << 10;

/// What a field takes beside its bytes: its places in the map, some of them empty.
const FIELD_BYTES: usize = 128;

/// Fields that say how a message is carried, not what it says: the host's to set and to read.
fn is_forbidden(name: &HeaderName) -> bool {
    const OTHERS: [&str; 3] = ["http2-settings", "keep-alive", "proxy-connection"];
    [
        header::CONNECTION,
        header::HOST,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
        || OTHERS.contains(&name.as_str())
}

/// A set of fields, cheap to clone.
#[derive(Debug, Clone)]
pub struct Fields {
    map: Arc<HeaderMap>,
    /// For the map, shared as it is; of no bytes for one that came from outside.
    charge: Arc<Charge>,
    /// Of names and values, each name as often as it has values.
    bytes: usize,
    is_mutable: bool,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields::new(&Budget::default())
    }
}

impl Fields {
    /// No fields yet, of the guest that has this budget.
    pub(super) fn new(budget: &Budget) -> Fields {
        Fields {
            map: Arc::default(),
            charge: Arc::new(budget.part()),
            bytes: 0,
            is_mutable: true,
        }
    }

    /// Fields of a message that came from outside, without those that a guest has no use for.
    pub(super) fn received(mut map: HeaderMap) -> Fields {
        if map.keys().any(is_forbidden) {
            let names: Vec<HeaderName> = map.keys().filter(|name| is_forbidden(name)).cloned().collect();
            for name in names {
                map.remove(name);
            }
        }
        Fields {
            bytes: size(&map),
            map: Arc::new(map),
            is_mutable: false,
            ..Fields::default()
        }
    }

    /// The same, which cannot be changed any more.
    pub(super) fn frozen(mut self) -> Fields {
        self.is_mutable = false;
        self
    }

    /// A copy that can be changed.
    pub(super) fn thawed(&self, budget: &Budget) -> Fields {
        let mut copy = self.clone();
        copy.is_mutable = true;
        if self.charge.bytes() == 0 {
            // Those that came from outside are charged from the first change on.
            copy.charge = Arc::new(budget.part());
        }
        copy
    }

    /// What they were charged, for whoever keeps the map without them.
    pub(super) fn charged(&self) -> Arc<Charge> {
        self.charge.clone()
    }

    pub(super) fn into_map(self) -> HeaderMap {
        Arc::unwrap_or_clone(self.map)
    }

    pub(super) fn from_list(budget: &Budget, entries: Vec<(String, Vec<u8>)>) -> Result<Fields, FieldsError> {
        let mut fields = Fields::new(budget);
        for (name, value) in entries {
            fields.append(&name, value)?;
        }
        Ok(fields)
    }

    pub(super) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        // A name that is none has no values: the same as for one that is not there.
        let values = self.map.get_all(name).iter();
        values.map(|value| value.as_bytes().to_vec()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// The name, if the fields with it may be changed.
    fn changing(&self, name: &str) -> Result<HeaderName, FieldsError> {
        let name = HeaderName::try_from(name)?;
        match () {
            () if is_forbidden(&name) => Err(FieldsError::Forbidden),
            () if !self.is_mutable => Err(FieldsError::Immutable),
            () => Ok(name),
        }
    }

    pub(super) fn set(&mut self, name: &str, values: Vec<Vec<u8>>) -> Result<(), FieldsError> {
        let name = self.changing(name)?;
        let values: Vec<HeaderValue> = values
            .into_iter()
            .map(|value| parse(&name, value))
            .collect::<Result<_, _>>()?;
        if name == header::CONTENT_LENGTH && values.len() > 1 {
            return Err(FieldsError::InvalidSyntax);
        }
        let count = self.map.len() - self.map.get_all(&name).iter().count() + values.len();
        let old = self.map.get_all(&name).iter();
        let old: usize = old.map(|value| name.as_str().len() + value.len()).sum();
        let new: usize = values.iter().map(|value| name.as_str().len() + value.len()).sum();
        self.charge(self.bytes - old + new, count)?;
        let map = Arc::make_mut(&mut self.map);
        map.remove(&name);
        for value in values {
            map.try_append(name.clone(), value)?;
        }
        Ok(())
    }

    pub(super) fn append(&mut self, name: &str, value: Vec<u8>) -> Result<(), FieldsError> {
        let name = self.changing(name)?;
        let value = parse(&name, value)?;
        if name == header::CONTENT_LENGTH && self.map.contains_key(&name) {
            return Err(FieldsError::InvalidSyntax);
        }
        self.charge(self.bytes + name.as_str().len() + value.len(), self.map.len() + 1)?;
        Arc::make_mut(&mut self.map).try_append(name, value)?;
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<(), FieldsError> {
        self.set(name, Vec::new())
    }

    pub(super) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.map.iter();
        entries
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect()
    }

    fn charge(&mut self, bytes: usize, count: usize) -> Result<(), FieldsError> {
        if bytes > FIELDS_BYTES_MAX {
            return Err(FieldsError::TooLarge);
        }
        let held = bytes + count * FIELD_BYTES;
        // A map that is shared is about to be copied.
        let mut copy = self.charge.another();
        let fits = match Arc::get_mut(&mut self.charge) {
            Some(own) => own.resize(held),
            None => copy.resize(held),
        };
        if !fits {
            return Err(FieldsError::TooLarge);
        }
        if copy.bytes() > 0 {
            self.charge = Arc::new(copy);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// What `content-length` says, if it is there.
    pub(super) fn content_length(&self) -> Option<u64> {
        let value = self.map.get(header::CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    }
}

fn size(map: &HeaderMap) -> usize {
    map.iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// A value without the blanks around it, which are not part of it (RFC 9110, 5.5).
fn parse(name: &HeaderName, value: Vec<u8>) -> Result<HeaderValue, FieldsError> {
    let is_number = || !value.is_empty() && value.iter().all(u8::is_ascii_digit) && value.len() < 20;
    if *name == header::CONTENT_LENGTH && !is_number() {
        return Err(FieldsError::InvalidSyntax);
    }
    Ok(HeaderValue::try_from(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_values_keep_their_order() {
        let mut fields = Fields::default();
        fields.append("X-Test", b"1".to_vec()).unwrap();
        fields.append("x-test", b"2".to_vec()).unwrap();
        assert_eq!(fields.get("X-TEST"), [b"1", b"2"]);
        fields.set("x-test", vec![b"3".to_vec()]).unwrap();
        assert_eq!(fields.entries(), [("x-test".to_owned(), b"3".to_vec())]);
        fields.delete("X-Test").unwrap();
        assert!(!fields.has("x-test") && fields.get("no name\n").is_empty());
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let mut fields = Fields::default();
        for (name, value, why) in [
            ("a b", "x", FieldsError::InvalidSyntax),
            ("", "x", FieldsError::InvalidSyntax),
            ("a", "x\r\nb: y", FieldsError::InvalidSyntax),
            ("a", "x\0", FieldsError::InvalidSyntax),
            ("content-length", "-1", FieldsError::InvalidSyntax),
            ("content-length", "", FieldsError::InvalidSyntax),
            ("Transfer-Encoding", "chunked", FieldsError::Forbidden),
            ("host", "x", FieldsError::Forbidden),
            ("Keep-Alive", "x", FieldsError::Forbidden),
        ] {
            assert_eq!(fields.append(name, value.into()), Err(why), "{name}");
            assert_eq!(fields.set(name, vec![value.into()]), Err(why), "{name}");
        }
        fields.append("content-length", b"5".to_vec()).unwrap();
        assert_eq!(
            fields.append("content-length", b"5".to_vec()),
            Err(FieldsError::InvalidSyntax)
        );
        assert_eq!(fields.content_length(), Some(5));
    }

    #[test]
    fn frozen_fields_change_in_a_copy_only() {
        let mut fields = Fields::default();
        fields.append("a", b"1".to_vec()).unwrap();
        let mut fields = fields.frozen();
        assert_eq!(fields.append("a", b"2".to_vec()), Err(FieldsError::Immutable));
        assert_eq!(fields.delete("a"), Err(FieldsError::Immutable));
        let mut copy = fields.thawed(&Budget::default());
        copy.append("a", b"2".to_vec()).unwrap();
        assert_eq!((copy.get("a").len(), fields.get("a").len()), (2, 1));
    }

    #[test]
    fn fields_have_a_limit() {
        let mut fields = Fields::default();
        let half = vec![b'x'; FIELDS_BYTES_MAX / 2];
        fields.append("a", half.clone()).unwrap();
        assert_eq!(fields.append("a", half.clone()), Err(FieldsError::TooLarge));
        fields.set("a", vec![half.clone()]).unwrap();
        fields.delete("a").unwrap();
        fields.append("b", half).unwrap();
    }

    #[test]
    fn fields_are_charged_once_for_each_copy_that_differs() {
        let field = "a".len() + FIELD_BYTES;
        let budget = Budget::new(3 * field);
        let mut first = Fields::new(&budget);
        first.append("a", Vec::new()).unwrap();
        let mut second = first.thawed(&budget);
        // It shares what the first one has until it changes.
        assert_eq!(budget.part().left(), 2 * field);
        second.append("b", Vec::new()).unwrap();
        assert_eq!(budget.part().left(), 0);
        assert_eq!(first.append("b", Vec::new()), Err(FieldsError::TooLarge));
        assert!(!first.has("b"));
        let kept = second.thawed(&budget);
        drop(second);
        assert_eq!(budget.part().left(), 0, "the copy keeps what it shared");
        drop(kept);
        first.append("b", Vec::new()).unwrap();
        // What came from outside costs nothing before it is changed.
        let received = Fields::received(HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static("x"),
        )]));
        let mut copy = received.thawed(&budget);
        assert_eq!(budget.part().left(), field);
        assert_eq!(copy.append("a", Vec::new()), Err(FieldsError::TooLarge));
        drop(first);
        copy.append("a", Vec::new()).unwrap();
    }
}
