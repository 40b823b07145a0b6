//! Passwords that are guessed first: common ones, and what is made of them, of names, of rows of keys, of dates.

use zxcvbn::{Score, zxcvbn};

/// Why a new password would soon be guessed, if it would: within some 10^8 guesses, knowing the words that name its user.
#[must_use]
pub fn guessable(password: &str, of_user: &[&str]) -> Option<String> {
    let words: Vec<&str> = of_user.iter().flat_map(|text| text.split_whitespace()).collect();
    let guessed = zxcvbn(password, &words);
    if guessed.score() >= Score::Three {
        return None;
    }
    let warning = guessed.feedback().and_then(|feedback| feedback.warning());
    Some(warning.map_or_else(|| "take a longer one, as of several unrelated words".to_owned(), |why| why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_passwords_and_the_users_own_words_are_guessed_and_a_phrase_is_not() {
        for password in
            ["password", "Passw0rd!", "qwertyuiop", "12345678", "iloveyou1", "Cora2024", "coradiaz", "aaaaaaaa"]
        {
            assert!(guessable(password, &["cora", "Cora Diaz"]).is_some(), "{password}");
        }
        for password in ["mauve kettle drifts north", "correct horse battery staple", "x7#Vq9!mTz2p"] {
            assert_eq!(guessable(password, &["cora", "Cora Diaz"]), None, "{password}");
        }
    }
}
