// The theme lets a keyboard reach what scrolls, but looks only when the window changes. What was
// folded when the page loaded needs another look when it is unfolded.
document.addEventListener("click", event => {
  if (event.target.closest("summary, .toggle-button")) window.dispatchEvent(new Event("resize"));
});
