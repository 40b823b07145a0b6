-- The role that wrote an event is read by nobody, and every writer of an order paid for it.
alter table live.order_event drop column if exists database_role;
