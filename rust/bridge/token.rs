use pyo3::prelude::*;

use crate::wire;

/// A secret on its way from Python to a node. It says nothing of itself to anybody.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Token(wire::Token);

#[pymethods]
impl Token {
    #[new]
    fn new(secret: &str) -> Self {
        Self(wire::Token::new(secret))
    }
}

/// The secret itself.
pub(super) fn secret(token: Option<&Bound<'_, Token>>) -> Option<wire::Token> {
    token.map(|token| token.get().0.clone())
}
