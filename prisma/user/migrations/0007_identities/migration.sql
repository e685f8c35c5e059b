-- Identities: who a person is at an OpenID provider. Global, as accounts are: on the closed list of the start-up check,
-- reached by _system only.

create table identities (
  issuer text not null,
  subject text not null,
  account_id uuid not null,
  email text not null,
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3) not null default now(),
  primary key (issuer, subject),
  constraint identities_account_fkey foreign key (account_id) references accounts (id),
  constraint identities_issuer_length check (char_length(issuer) between 1 and 500),
  constraint identities_subject_length check (char_length(subject) between 1 and 255),
  constraint identities_email_is_lower_case check (email = lower(email))
);
comment on column identities.issuer is 'the provider, as its ID tokens name it; a subject means nothing without it';
comment on column identities.email is 'the address that the provider vouched for at the last sign-in; the account may have another';
create index identities_account_id_idx on identities (account_id);

-- Job sign-in: finds and links identities, and with register and invite-accept makes the account.
grant select, insert, update, delete on identities to taskflow_user_system;
