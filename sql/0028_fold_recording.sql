-- What recorded the changes when the statistics were built anew: the triggers, and what they read. Where that is another now, it
-- may have recorded nothing in between, as when somebody switched a trigger off and on again while nobody looked.
alter table live.fold add column if not exists recording jsonb;
