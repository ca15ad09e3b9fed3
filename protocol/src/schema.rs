//! How the texts of `mdfs_core` look on the wire, for descriptions of types.

use mdfs_core::access::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $pattern:literal,)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({ "type": "string", "pattern": $pattern })
                }
            }
        )*
    };
}

texts! {
    /// An id of 128 bits.
    Id "^[0-9a-f]{32}$",
    /// A CRC-32.
    Crc32Text "^[0-9a-f]{8}$",
    /// A BLAKE3 hash, or what a chunk adds to one.
    Blake3Text "^[0-9a-f]{64}$",
}

/// A file's name.
pub struct FileNameText;

impl JsonSchema for FileNameText {
    fn schema_name() -> Cow<'static, str> {
        "FileName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No segment is empty, `.` or `..`.
        let any = r"[^/\\\u0000-\u001f\u007f-\u009f]";
        let not_dot = r"[^./\\\u0000-\u001f\u007f-\u009f]";
        let segment = format!(r"(\.?{not_dot}{any}*|\.\.{any}+)");
        json_schema!({
            "description": "A file's name: at most 1024 bytes.",
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": format!("^{segment}(/{segment})*$"),
        })
    }
}

/// A set of roles.
pub(crate) struct RoleWords;

impl JsonSchema for RoleWords {
    fn schema_name() -> Cow<'static, str> {
        "Roles".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = Role::ALL.map(Role::as_str);
        json_schema!({
            "type": "array",
            "items": { "type": "string", "enum": words },
            "minItems": 1,
        })
    }
}
