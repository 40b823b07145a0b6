/**
 * How what we add looks. Every class of it begins with our name, and no rule is for anything that the page has of its own,
 * but that figures and badges lose their colour while they are old.
 */
const CSS = `
.oncare-live-badge, .oncare-live-notices { position: fixed; bottom: 12px; z-index: 2147483000; font: 14px/1.4 system-ui, sans-serif; color: #1f2937; }
.oncare-live-badge { left: 12px; display: flex; align-items: center; gap: 8px; padding: 4px 12px; border: 1px solid #d1d5db; border-radius: 10px; background: #fff; font-variant-numeric: tabular-nums; }
.oncare-live-badge [hidden] { display: none; }
.oncare-live-badge :is(button, a) { padding: 0; border: 0; background: none; color: #1e40af; font: inherit; text-decoration: underline; cursor: pointer; }
.oncare-live-dot { width: 10px; height: 10px; border-radius: 50%; background: #6b7280; }
.oncare-live-badge[data-state="live"] .oncare-live-dot { background: #16a34a; }
.oncare-live-badge[data-state="polling"] .oncare-live-dot { border-radius: 2px; background: #d97706; }
.oncare-live-badge[data-state="stale"] .oncare-live-dot { border-radius: 0; background: #dc2626; transform: rotate(45deg); }
.oncare-live-notices { right: 12px; display: flex; flex-direction: column; gap: 8px; align-items: flex-end; max-width: min(360px, calc(100vw - 24px)); }
.oncare-live-toast { display: flex; gap: 12px; padding: 8px 12px; border: 1px solid #d1d5db; border-radius: 10px; background: #fff; }
.oncare-live-toast a { color: inherit; }
.oncare-live-toast button { padding: 0 4px; border: 0; background: none; color: #6b7280; font: inherit; cursor: pointer; }
.oncare-live-pill { padding: 2px 12px; border-radius: 999px; background: #1f2937; color: #fff; }
.oncare-live-pill a { color: #fff; }
.oncare-live-gone { opacity: 0.5; }
[data-oncare-live][data-stale] :is(.badge, [id^="stat-"], [id^="status-count-"]) { filter: grayscale(1); opacity: 0.6; }
[data-oncare-live] { --mark: rgb(255 193 7 / 45%); }
[data-oncare-live] [data-changed] { background-color: var(--mark) !important; }
@media print { .oncare-live-badge, .oncare-live-notices { display: none; } }
`;

/** Gives the page our styles, in the way that is open also where a page forbids styles in its markup. */
export function addStyle() {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
