-- Signs reps in: session n has the token n in 64 hexadecimal digits. `bench_sessions` says of which rep each session is.

insert into live.session (token_hash, user_id, password_digest, expires_at)
select
    sha256(convert_to(lpad(to_hex(s.session), 64, '0'), 'UTF8')), s.rep, sha256(convert_to(u.password, 'UTF8')),
    now() + interval '1 day'
from bench_sessions s join public.accounts_user u on u.id = s.rep;
