//! Values of the host's, of which any may be other than its column promises.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::error::StoreError;

/// Text as it is, with a mark in the place of what is not UTF-8: a database in SQL_ASCII holds whatever its clients sent.
struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(of: &Type) -> bool {
        <String as FromSql>::accepts(of)
    }
}

/// JSON of which texts may be none in UTF-8 either.
struct Json(serde_json::Value);

impl<'a> FromSql<'a> for Json {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // the binary form of jsonb is its text behind a version
        let text = if *of == Type::JSONB { raw.get(1..).unwrap_or_default() } else { raw };
        Ok(Self(serde_json::from_str(&String::from_utf8_lossy(text))?))
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::JSON | Type::JSONB)
    }
}

/// A column's value, or that it can't be read.
pub(in crate::store) fn value<'a, T: FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|cause| StoreError::unreadable(column, cause))
}

/// A text, if there is one.
pub(in crate::store) fn optional_text(row: &Row, column: &'static str) -> Result<Option<String>, StoreError> {
    Ok(value::<Option<Text>>(row, column)?.map(|text| text.0))
}

/// JSON, if there is any.
pub(in crate::store) fn json(row: &Row, column: &'static str) -> Result<Option<serde_json::Value>, StoreError> {
    Ok(value::<Option<Json>>(row, column)?.map(|json| json.0))
}

/// A text; empty where the host has none.
pub(in crate::store) fn text(row: &Row, column: &'static str) -> Result<String, StoreError> {
    Ok(optional_text(row, column)?.unwrap_or_default())
}
