// Apply the theme before the page is drawn. A module would run after the first paint, and the page would flash.
const chosenTheme = localStorage.getItem("lookbook.theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.documentElement.setAttribute("data-bs-theme", chosenTheme);
