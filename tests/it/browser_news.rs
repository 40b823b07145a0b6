//! Who is told what changed: toasts, bell, title, icon, sound and desktop.
