-- What is owed, oldest first: somebody looks every few seconds for how old that is.
CREATE INDEX refunds_owed ON refunds (created_at) WHERE status = 'REQUIRED';
